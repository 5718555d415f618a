"""The program `certbound`: without the server's dependencies it says in one line what to install."""

import logging
import sys
import warnings


def main() -> None:
    """Run the command line and end the process with its exit code."""
    try:
        from certbound.cli.program import run
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "certbound":
            raise
        sys.exit("certbound: the command line needs more packages: pip install 'certbound[server]'")
    # What a command says on standard error is its error; remarks of libraries are for the server's log.
    if not sys.warnoptions:
        warnings.simplefilter("ignore")
    logging.getLogger("certbound").addHandler(logging.NullHandler())
    sys.exit(run())


if __name__ == "__main__":
    main()
