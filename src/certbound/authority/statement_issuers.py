"""Who may state something of clients' software, with the keys that prove it (RFC 7591 section 2.3)."""

import json
import logging
import math
from collections.abc import Sequence
from time import monotonic
from typing import Any

from certbound.authority.outbound import Flights, Outbound
from certbound.fetch.address import ANYWHERE
from certbound.fetch.document import Fetched, FetchError
from certbound.jose.jwks import JWKSError, JWKSet, parse_jwks
from certbound.jose.jwt import JWTError
from certbound.oauth.errors import OAuthError
from certbound.oauth.software_statement import StatementIssuer, read_statement, stated_issuer, unapproved_statement

log = logging.getLogger(__name__)

FRESH_SECONDS = 600
"""How long fetched keys are used before they are fetched again."""
KEPT_SECONDS = 24 * 3600
"""How long they serve at most while they cannot be fetched."""
PAUSE_SECONDS = 30
"""Seconds between two fetches from one issuer, whatever came of the first."""
MAX_BYTES = 256 * 1024
"""Bytes of a set of keys."""


class StatementIssuers:
    """The issuers that the operator named; it belongs to one event loop."""

    def __init__(self, issuers: Sequence[StatementIssuer], outbound: Outbound, *, server: str) -> None:
        self._issuers = {issuer.issuer: issuer for issuer in issuers}
        self._outbound = outbound
        self._server = server
        self._kept: dict[str, tuple[JWKSet, float]] = {}
        self._asked_at: dict[str, float] = {}
        self._flights: Flights[str, None] = Flights()

    async def read(self, statement: str, now: int) -> tuple[StatementIssuer, dict[str, Any]]:
        """Check a statement, and give its issuer and what it says of the client. Raises OAuthError."""
        issuer = self.named(statement)
        keys = await self._keys(issuer, FRESH_SECONDS)
        try:
            return issuer, read_statement(statement, issuer, keys, server=self._server, now=now)
        except OAuthError as error:
            if not (isinstance(error.__cause__, JWTError) and error.__cause__.unknown_key):
                raise
        keys = await self._keys(issuer, PAUSE_SECONDS)
        return issuer, read_statement(statement, issuer, keys, server=self._server, now=now)

    def named(self, statement: str) -> StatementIssuer:
        """Give the issuer that a statement names. Raises OAuthError where it is none of those here."""
        issuer = self._issuers.get(stated_issuer(statement))
        if issuer is None:
            raise unapproved_statement("its issuer is not one of those that are believed here")
        return issuer

    async def _keys(self, issuer: StatementIssuer, fresh: float) -> JWKSet:
        """Give the issuer's keys, asked for at most `fresh` seconds ago; the last ones while it does not answer."""
        if issuer.jwks is not None:
            return issuer.jwks
        if monotonic() >= self._asked_at.get(issuer.issuer, -math.inf) + fresh:
            await self._flights.join(issuer.issuer, lambda: self._fetch(issuer))
        keys, fetched_at = self._kept.get(issuer.issuer, (JWKSet(()), -math.inf))
        if monotonic() >= fetched_at + KEPT_SECONDS:
            raise OAuthError("temporarily_unavailable", "the keys of the statement's issuer cannot be had: try again")
        return keys

    async def _fetch(self, issuer: StatementIssuer) -> None:
        self._asked_at[issuer.issuer] = monotonic()
        try:
            # The operator wrote the URL, and no client chose it.
            keys = await self._outbound.bring(str(issuer.jwks_uri), _read, max_bytes=MAX_BYTES, allow=ANYWHERE)
        except FetchError as error:
            log.warning("statement_keys_not_fetched", extra={"issuer": issuer.issuer, "reason": str(error)})
        else:
            self._kept[issuer.issuer] = keys, monotonic()


def _read(answer: Fetched) -> JWKSet:
    try:
        return parse_jwks(json.loads(answer.body))
    except (JWKSError, ValueError, RecursionError) as error:
        raise FetchError(f"no JWK Set: {error}") from None
