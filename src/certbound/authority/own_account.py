"""What people who are signed in see and do about themselves: whether they are, what they allowed, and its end."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from certbound.authority import authorizations, sessions
from certbound.authority.registered import Registered
from certbound.authority.sessions import SignedIn
from certbound.store import sessions as stored_sessions
from certbound.store.engine import Store


@dataclass(frozen=True, slots=True)
class Permission:
    """What a person allowed a client, at `given_at` (epoch seconds) the last time."""

    client_id: str
    client_name: str
    scopes: tuple[str, ...]
    claims: tuple[str, ...]
    given_at: int


class OwnAccount:
    """Answers people about themselves for one worker; `clock` gives epoch seconds. Raises StoreUnavailable."""

    def __init__(self, store: Store, registered: Registered, clock: Callable[[], float]) -> None:
        self._store = store
        self._registered = registered
        self._clock = clock

    async def signed_in(self, cookie: str | None) -> SignedIn | None:
        """Say who is signed in in a browser that shows this cookie."""
        if cookie is None:
            return None
        return await self._store.reading(partial(sessions.find, cookie=cookie, now=self._now()))

    async def sign_out(self, cookie: str) -> None:
        """End the session behind a cookie, if there is one."""
        await self._store.writing(partial(sessions.end, cookie=cookie, now=self._now()))

    async def permissions(self, sub: str) -> list[Permission]:
        """List what a person allowed, by the name of the client."""
        given = await self._store.reading(partial(stored_sessions.consents, sub=sub))
        found = [
            Permission(one.client_id, await self._name(one.client_id), one.scopes, one.claims, one.given_at)
            for one in given
        ]
        return sorted(found, key=lambda one: (one.client_name.casefold(), one.client_id))

    async def take_back(self, sub: str, client_id: str) -> None:
        """Take back what a person allowed a client; what it has for them is revoked."""
        await self._store.writing(
            partial(
                authorizations.take_back_consent, sub=sub, client_id=client_id, actor=f"user:{sub}", now=self._now()
            )
        )

    async def _name(self, client_id: str) -> str:
        registration = await self._registered.registration(client_id)
        return registration.client.client_name if registration is not None else client_id

    def _now(self) -> int:
        return int(self._clock())
