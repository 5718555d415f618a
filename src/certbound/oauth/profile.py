"""What a security profile demands beyond the RFCs, as plain data: our default, or FAPI 2.0.

A profile narrows what the settings offer; it never widens it, and it never keeps a server from starting.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from certbound.jose.keys import ALGORITHMS


@dataclass(frozen=True, slots=True)
class ProfileRules:
    """What one profile demands; lifetimes are the longest allowed, in seconds."""

    authentication_methods: frozenset[str] | None
    """Values of `token_endpoint_auth_method`; None for whatever the settings offer."""
    signing_algorithms: tuple[str, ...]
    """JWS algorithms, for what the server signs as for what clients sign."""
    refused_grants: frozenset[str]
    pushed_requests: bool
    """Whether only pushed authorization requests are taken (RFC 9126)."""
    pkce: bool
    """Whether confidential clients need PKCE too; public ones always do (RFC 9700 section 2.1.1)."""
    sender_constrained_tokens: bool
    code_lifetime: int
    request_uri_lifetime: int

    def allows_method(self, method: str) -> bool:
        """Say whether clients may authenticate so."""
        return self.authentication_methods is None or method in self.authentication_methods

    def allows_grant(self, grant_type: str) -> bool:
        """Say whether a grant may be used at all."""
        return grant_type not in self.refused_grants

    def narrow_algorithms(self, offered: Iterable[str]) -> tuple[str, ...]:
        """Give those of the algorithms offered that the profile allows, in the order of the offer."""
        return tuple(algorithm for algorithm in offered if algorithm in self.signing_algorithms)


class Profile(StrEnum):
    """The profile of a server or of one client, by its name in the settings and in `certbound_profile`."""

    DEFAULT = "default"
    FAPI2 = "fapi2"

    @property
    def rules(self) -> ProfileRules:
        """Give what the profile demands."""
        return _RULES[self]


def effective_profile(server: Profile, client: Profile) -> Profile:
    """Give the profile that holds for a client: the stricter of its own and the server's."""
    return Profile.FAPI2 if Profile.FAPI2 in {server, client} else Profile.DEFAULT


_RULES = {
    Profile.DEFAULT: ProfileRules(
        authentication_methods=None,
        signing_algorithms=ALGORITHMS,
        refused_grants=frozenset(),
        pushed_requests=False,
        pkce=False,
        sender_constrained_tokens=False,
        code_lifetime=600,  # RFC 6749 section 4.1.2
        request_uri_lifetime=600,  # RFC 9126 section 2.2
    ),
    # FAPI 2.0 Security Profile, sections 5.3.2.1, 5.3.2.2 and 5.4
    Profile.FAPI2: ProfileRules(
        authentication_methods=frozenset({"tls_client_auth", "self_signed_tls_client_auth", "private_key_jwt"}),
        signing_algorithms=("ES256", "PS256", "EdDSA"),
        refused_grants=frozenset({"password"}),
        pushed_requests=True,
        pkce=True,
        sender_constrained_tokens=True,
        code_lifetime=60,
        request_uri_lifetime=599,
    ),
}
