"""What the door says of a request's connection; the one place where the web floor looks at certificates."""

from collections.abc import Mapping
from typing import Any

from certbound.certificates.presented import PresentedChain


def presented_chain(scope: Mapping[str, Any]) -> PresentedChain | None:
    """Give what the peer's connection showed, from the door's own value in the ASGI scope and nothing else."""
    presented = scope["extensions"]["certbound"]["presented"]
    if presented is not None and not isinstance(presented, PresentedChain):
        raise TypeError("the door's value in the scope is not of this version")
    return presented
