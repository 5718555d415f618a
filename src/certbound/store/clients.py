"""Who is registered: clients as RFC 7591 metadata, with their certificates and the trust stores they rely on."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from sqlalchemy import Row, Select, bindparam, delete, insert, or_, select, update

from certbound.certificates.subject import PARAMETERS, SubjectMatch
from certbound.certificates.subject_attributes import SubjectAttributes
from certbound.oauth.registration import AuthenticationMethod, Client
from certbound.store.certificates import RegisteredCertificate
from certbound.store.engine import Connection
from certbound.store.rows import columns
from certbound.store.schema import client, client_certificate, client_trust


@dataclass(frozen=True, slots=True)
class StoredClient:
    """A client with its registered certificates (retired ones included, oldest first); times are epoch seconds."""

    client: Client
    certificates: tuple[RegisteredCertificate, ...]
    updated_at: int


_CLIENT = [column for column in client.c if column is not client.c.client_id]
_CERTIFICATE = columns(client_certificate, RegisteredCertificate)
# One statement for the whole client: where there are several certificates and stores the rows multiply, which is rare
# and small; a second round trip would be neither.
_WHOLE = (
    select(client.c.client_id, *_CLIENT, client_trust.c.store, *_CERTIFICATE)
    .select_from(client.outerjoin(client_trust).outerjoin(client_certificate))
    .order_by(client.c.client_id, client_trust.c.position, client_certificate.c.added, client_certificate.c.sha256)
)


def _page(*conditions: Any) -> Select[Any]:
    page = select(client.c.client_id).where(client.c.client_id > bindparam("after"), *conditions)
    return _WHOLE.where(client.c.client_id.in_(page.order_by(client.c.client_id).limit(bindparam("page_size"))))


_LOAD = _WHOLE.where(client.c.client_id == bindparam("of_client"))
_PAGE = _page()
_SEARCH = _page(
    or_(
        client.c.client_id.ilike(bindparam("pattern"), escape="\\"),
        client.c.client_name.ilike(bindparam("pattern"), escape="\\"),
    )
)
_THIS = client.c.client_id == bindparam("of_client")
_INSERT = insert(client)
_UPDATE = (
    update(client)
    .where(_THIS)
    .values(
        {
            name: bindparam(f"new_{name}")
            for name in ("client_name", "disabled", "updated_at", "secret_sha256", "metadata")
        }
    )
)
_DISABLE = update(client).where(_THIS).values(disabled=bindparam("state"), updated_at=bindparam("moment"))
_DELETE = delete(client).where(_THIS)
_INSERT_TRUST = insert(client_trust)
_DELETE_TRUST = delete(client_trust).where(client_trust.c.client_id == bindparam("of_client"))
_RELYING = select(client_trust.c.client_id).where(client_trust.c.store == bindparam("name"))


def add(connection: Connection, new: Client) -> None:
    """Register a client; StoreConflict if its client_id is taken or a trust store of it does not exist."""
    row = {"client_id": new.client_id, "created_at": new.created_at, "updated_at": new.created_at}
    connection.execute(_INSERT, row | _changeable(new))
    _add_trust(connection, new)


def load(connection: Connection, client_id: str) -> StoredClient | None:
    """Load a client with everything that is kept of it, in one statement."""
    return next(_restore(connection.execute(_LOAD, {"of_client": client_id}).all()), None)


def page(connection: Connection, *, after: str = "", search: str = "", limit: int = 50) -> tuple[StoredClient, ...]:
    """List clients by client_id, those after `after`; `search` is looked for in client_id and name, case aside."""
    values: dict[str, Any] = {"after": after, "page_size": limit}
    if not search:
        return tuple(_restore(connection.execute(_PAGE, values).all()))
    escaped = search.replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_")
    return tuple(_restore(connection.execute(_SEARCH, values | {"pattern": f"%{escaped}%"}).all()))


def replace(connection: Connection, changed: Client, at: int) -> bool:
    """Put a client's new registration in the place of the old one; False if there is no such client.

    Certificates and `created_at` stay as they are. StoreConflict if a trust store does not exist.
    """
    values = {f"new_{name}": value for name, value in _changeable(changed).items()}
    found = connection.execute(_UPDATE, values | {"of_client": changed.client_id, "new_updated_at": at})
    if found.rowcount != 1:
        return False
    connection.execute(_DELETE_TRUST, {"of_client": changed.client_id})
    _add_trust(connection, changed)
    return True


def set_disabled(connection: Connection, client_id: str, at: int, *, disabled: bool) -> bool:
    """Disable or enable a client; False if there is no such client."""
    return connection.execute(_DISABLE, {"of_client": client_id, "state": disabled, "moment": at}).rowcount == 1


def remove(connection: Connection, client_id: str) -> bool:
    """Delete a client with its certificates and refresh tokens; False if there is no such client."""
    return connection.execute(_DELETE, {"of_client": client_id}).rowcount == 1


def relying_on(connection: Connection, trust_store: str) -> tuple[str, ...]:
    """List the client_ids that name a trust store."""
    return tuple(sorted(connection.execute(_RELYING, {"name": trust_store}).scalars()))


def _add_trust(connection: Connection, registered: Client) -> None:
    rows = [
        {"client_id": registered.client_id, "store": store, "position": position}
        for position, store in enumerate(dict.fromkeys(registered.trust))
    ]
    if rows:
        connection.execute(_INSERT_TRUST, rows)


def _changeable(registered: Client) -> dict[str, Any]:
    return {
        "client_name": registered.client_name,
        "disabled": registered.disabled,
        "secret_sha256": registered.secret_sha256,
        "metadata": _metadata(registered),
    }


def _metadata(registered: Client) -> dict[str, Any]:
    """Give the other members under their wire names (RFC 7591 section 2, RFC 8705 section 2.1.2)."""
    return {
        "token_endpoint_auth_method": registered.token_endpoint_auth_method.value,
        "grant_types": registered.grant_types,
        "scope": " ".join(registered.scopes),
        "certbound_resources": registered.resources,
        "redirect_uris": registered.redirect_uris,
        "post_logout_redirect_uris": registered.post_logout_redirect_uris,
        "certbound_consent": "implicit" if registered.implicit_consent else "ask",
        "tls_client_certificate_bound_access_tokens": registered.tls_client_certificate_bound_access_tokens,
    } | registered.certificate_metadata()


def _subject(members: Mapping[str, Any]) -> SubjectMatch | None:
    for parameter in PARAMETERS:
        if parameter in members:
            return SubjectMatch(parameter, members[parameter])
    return None


def _subject_attributes(members: Mapping[str, Any]) -> SubjectAttributes | None:
    found = members.get("certbound_subject_attributes")
    return SubjectAttributes.parse(found) if found is not None else None


def _restore(rows: Sequence[Row[*tuple[Any, ...]]]) -> Iterator[StoredClient]:
    for _, group in groupby(rows, key=lambda row: row[0]):
        yield _restore_one(list(group))


def _restore_one(rows: Sequence[Row[*tuple[Any, ...]]]) -> StoredClient:
    client_id, name, disabled, created_at, updated_at, secret, members, *_ = rows[0]
    first = 2 + len(_CLIENT)  # of the certificate's columns, after client_id, the client's own and the trust store
    certificates = {row[first + 1]: row[first:] for row in rows if row[first] is not None}
    return StoredClient(
        client=Client(
            client_id=client_id,
            client_name=name,
            token_endpoint_auth_method=AuthenticationMethod(members["token_endpoint_auth_method"]),
            grant_types=tuple(members["grant_types"]),
            scopes=tuple(members["scope"].split()),
            resources=tuple(members["certbound_resources"]),
            redirect_uris=tuple(members["redirect_uris"]),
            post_logout_redirect_uris=tuple(members.get("post_logout_redirect_uris", ())),
            subject=_subject(members),
            subject_attributes=_subject_attributes(members),
            trust=tuple(dict.fromkeys(row[first - 1] for row in rows if row[first - 1] is not None)),
            tls_client_certificate_bound_access_tokens=members["tls_client_certificate_bound_access_tokens"],
            secret_sha256=secret,
            jwks=members.get("jwks"),
            jwks_uri=members.get("jwks_uri"),
            token_endpoint_auth_signing_alg=members.get("token_endpoint_auth_signing_alg"),
            match_by_key=members.get("certbound_match_by_key", False),
            diagnostics=members.get("certbound_diagnostics", False),
            implicit_consent=members.get("certbound_consent") == "implicit",
            disabled=disabled,
            created_at=created_at,
        ),
        certificates=tuple(RegisteredCertificate(*values) for values in certificates.values()),
        updated_at=updated_at,
    )
