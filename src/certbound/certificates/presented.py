"""What a connection showed: the certificates as they came, before anybody decided anything about them."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PresentedChain:
    """The peer's certificates in DER: its own, whose key it proved to hold, and what it sent along.

    Only `leaf` ever authenticates; `intermediates` (in the order sent, leaf excluded) may complete a path and nothing
    else (RFC 8705 section 2). Nothing in here has been validated: expiry, chain and subject are decided per client.
    """

    leaf: bytes
    intermediates: tuple[bytes, ...] = ()
