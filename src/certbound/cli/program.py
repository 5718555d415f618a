"""What can be typed after `certbound`, and how a command ends: exit 0 done, 1 refused or failed, 2 misuse."""

import importlib
import os
import sys
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path

import click
from click.exceptions import NoArgsIsHelpError

from certbound import cli
from certbound.cli.version import program_version

_SECTIONS: Mapping[str, Mapping[str, str]] = {
    "Start": {
        "demo": "Show the whole story on real TLS, told step by step.",
        "init": "Make a folder with everything a server needs.",
        "serve": "Run the server.",
        "status": "Show what this server is and what is registered.",
    },
    "Administer": {
        "client": "Register clients and change them.",
        "trust": "Say which authorities may vouch for clients.",
        "block": "Refuse a stolen certificate or key everywhere, and list what it obtained.",
        "user": "Make accounts for people and operators.",
        "keys": "Rotate the keys that sign tokens.",
        "db": "Bring the database's tables up to date.",
    },
    "Certificates and tokens": {
        "cert": "Make certificates for development, and explain any certificate.",
        "token": "Get a token with a certificate.",
        "refusal": "Say why a client was refused, by the reference it was told.",
        "explain": "Say why a certificate is accepted for a client, or why not.",
    },
}
_FIRST_STEPS = """\b
A first server:
  certbound init my-server
  certbound -c my-server/certbound.toml serve
"""


class _Program(click.Group):
    """The commands by section; each is imported when it is typed, so that none waits for what another needs."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        return [name for section in _SECTIONS.values() for name in section]

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in self.list_commands(ctx):
            return None
        command: click.Command = importlib.import_module(f"{cli.__name__}.{name}").command
        return command

    def format_commands(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for title, section in _SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl(list(section.items()))


@click.command(cls=_Program, epilog=_FIRST_STEPS, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(program_version(), message="certbound %(version)s")
@click.option(
    "-c",
    "config",
    metavar="FILE",
    envvar="CERTBOUND_CONFIG",
    default="certbound.toml",
    show_default=True,
    show_envvar=True,
    type=click.Path(path_type=Path),
    help="The settings of the server that is meant.",
)
@click.pass_context
def program(ctx: click.Context, config: Path) -> None:
    """OAuth 2.0 with client certificates: tokens that only the certificate's holder can use."""
    ctx.obj = config


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command, print its error on one line if it has one, and give its exit code."""
    try:
        ended = program.main(arguments, prog_name="certbound", standalone_mode=False)
        sys.stdout.flush()
    except NoArgsIsHelpError as error:
        error.show()
        return error.exit_code
    except click.UsageError as error:
        _complain(_misuse(error))
        return error.exit_code
    except click.Abort:
        _complain("interrupted")
        return 1
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the flush at exit has nobody to write to
        return 1
    except Exception as error:  # noqa: BLE001 - whatever it is, it ends as one line
        if "CERTBOUND_TRACEBACK" in os.environ:
            traceback.print_exception(error)
        _complain(_told(error))
        return 1
    return ended if isinstance(ended, int) else 0


def _complain(text: str) -> None:
    print("certbound:", " ".join(text.split("\n")).replace("\t", ""), file=sys.stderr)  # noqa: T201


def _misuse(error: click.UsageError) -> str:
    if isinstance(error, click.NoSuchOption) and error.option_name == "--json":
        return "--json stands at the end, after a command that prints a result"
    pointer = f" (see `{error.ctx.command_path} --help`)" if error.ctx is not None else ""
    text = error.format_message().rstrip(".")
    return text[:1].lower() + text[1:] + pointer


def _told(error: Exception) -> str:
    """Tell people what went wrong: our own errors are written for them, the others get what can be said."""
    if isinstance(error, click.ClickException):
        return error.format_message()
    if isinstance(error, ModuleNotFoundError):
        extra = "postgres" if error.name == "psycopg" else "server"
        return f"this command needs the package {error.name}: pip install 'certbound[{extra}]'"
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    house = type(error).__module__.partition(".")[0]
    if house in {"certbound", "httpx2", "httpx"} or isinstance(error, (OSError, ValueError)):
        return str(error) or type(error).__name__
    return f"unexpected {type(error).__name__}: {error} (CERTBOUND_TRACEBACK=1 shows where; please report it)"
