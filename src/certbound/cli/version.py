"""Which version of certbound this is."""

from importlib.metadata import PackageNotFoundError, version


def program_version() -> str:
    """Give the version of the installed distribution."""
    try:
        return version("certbound")
    except PackageNotFoundError:  # run from a source tree that nobody installed
        return "unknown"
