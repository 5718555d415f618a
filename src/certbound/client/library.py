"""The HTTP library that is here: httpx2, else httpx, else a stand-in that says what to install."""

from typing import TYPE_CHECKING, Any

__all__ = ["http", "require_library"]


class _Missing:
    """In the place of any class of the library, so that importing works and constructing advises."""

    def __init__(self, *_args: Any, **_options: Any) -> None:
        require_library()


class _Absent:
    """In the place of the library."""

    def __getattr__(self, name: str) -> type[_Missing]:
        return _Missing


if TYPE_CHECKING:
    import httpx2 as http
else:
    try:
        import httpx2 as http
    except ImportError:
        try:
            import httpx as http
        except ImportError:
            http = _Absent()


def require_library() -> None:
    """Raise ImportError with advice if there is no HTTP library."""
    if isinstance(http, _Absent):
        raise ImportError("certbound.client needs httpx2: pip install 'certbound[client]'")  # noqa: TRY004  not a type's fault
