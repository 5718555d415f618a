"""`certbound user`: accounts of people who sign in, and of operators who run the server."""

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click

from certbound.authority import attributes, people, second_factor
from certbound.cli.deployment import actor, now, opened
from certbound.cli.files import MAX_TEXT, read_password, without_line_end
from certbound.cli.output import json_option, note, print_facts, print_json, print_table, time_text
from certbound.store import people as stored_people
from certbound.store.engine import Connection, StoreConflict
from certbound.store.people import Person

_PAGE = 500


@click.group("user")
def command() -> None:
    """Make accounts for people and operators."""


def password_options(wrapped: Callable[..., None]) -> Callable[..., None]:
    """Add the ways to give a password that are not the command line, which every process can read."""
    file = click.option(
        "--password-file", metavar="FILE", type=click.Path(path_type=Path), help="File that holds the password alone."
    )
    stdin = click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")
    return file(stdin(wrapped))


@command.command("create")
@click.argument("username", metavar="NAME")
@password_options
@click.option("--operator", is_flag=True, help="An operator runs the server; any other account is a resource owner.")
@json_option
@click.pass_obj
def create(
    config: Path,
    /,
    *,
    username: str,
    password_file: Path | None,
    password_stdin: bool,
    operator: bool,
    as_json: bool,
) -> None:
    """Make an account; the password is asked for, or read from a file or standard input."""
    password = _password(password_file, password_stdin)
    with opened(config) as server:
        try:
            person = server.store.write(
                lambda connection: people.add(
                    connection, username=username, password=password, operator=operator, actor=actor(), now=now()
                )
            )
        except StoreConflict:
            raise people.PersonError(f"there is a user {username!r} already") from None
    _print(person, as_json)


@command.command("list")
@json_option
@click.pass_obj
def list_users(config: Path, as_json: bool) -> None:
    """List the accounts."""
    with opened(config) as server:
        found = server.store.read(lambda connection: list(_all(connection)))
    if as_json:
        print_json([_members(person) for person in found])
    elif not found:
        click.echo("no users yet: make one with `certbound user create NAME`")
    else:
        rows = [(p.username, p.sub, "operator" if p.operator else "user", _state(p)) for p in found]
        print_table(("name", "sub", "role", "state"), rows)


@command.command("disable")
@click.argument("username", metavar="NAME")
@json_option
@click.pass_obj
def disable(config: Path, username: str, as_json: bool) -> None:
    """Let an account sign in no more."""
    _set_disabled(config, username, as_json, disabled=True)


@command.command("enable")
@click.argument("username", metavar="NAME")
@json_option
@click.pass_obj
def enable(config: Path, username: str, as_json: bool) -> None:
    """Let a disabled account sign in again, or one that wrong attempts have locked."""
    _set_disabled(config, username, as_json, disabled=False)


@command.command("password")
@click.argument("username", metavar="NAME")
@password_options
@json_option
@click.pass_obj
def change_password(
    config: Path, username: str, password_file: Path | None, password_stdin: bool, as_json: bool
) -> None:
    """Set a new password."""
    password = _password(password_file, password_stdin)

    def change(connection: Connection) -> Person | None:
        people.change_password(connection, username=username, password=password, actor=actor(), now=now())
        return stored_people.load(connection, username)

    with opened(config) as server:
        _print(server.store.write(change), as_json)


@command.command("totp")
@click.argument("username", metavar="NAME")
@click.option("--remove", is_flag=True, help="Take the second factor away: the password alone suffices again.")
@json_option
@click.pass_obj
def totp(config: Path, username: str, remove: bool, as_json: bool) -> None:
    """Give an account a second factor: one-time passwords of an authenticator application, asked for from now on.

    What the application has to know is printed this once. A second factor from before stops working.
    """
    if remove:
        _remove_totp(config, username, as_json)
        return
    from certbound.app.wiring import read_master_key

    with opened(config) as server:
        master_key = read_master_key(server.settings.store.master_key_file)
        issuer = server.settings.issuer
        enrolled = server.store.write(
            lambda connection: second_factor.enrol(
                connection, username=username, issuer=issuer, master_key=master_key, actor=actor(), now=now()
            )
        )
    members = {"username": username, "secret": enrolled.secret, "uri": enrolled.uri}
    if as_json:
        print_json(members)
    else:
        print_facts(members)
        note("type the secret into the application, or show it the uri as a QR code; it is not shown again")


@command.command("attributes")
@click.argument("username", metavar="NAME")
@click.argument("changes", metavar="[NAME=VALUE]...", nargs=-1)
@json_option
@click.pass_obj
def change_attributes(config: Path, username: str, changes: tuple[str, ...], as_json: bool) -> None:
    """Show or change what is known of a person, in the words of OpenID Connect: email, given_name, ...

    NAME=VALUE sets a text, NAME:=JSON any other value, NAME= takes the attribute away.
    """
    given = dict(map(_attribute, changes))

    def change(connection: Connection) -> dict[str, Any]:
        kept = dict(people.existing(connection, username).attributes)
        if given:
            kept = {name: value for name, value in (kept | given).items() if value is not None}
            attributes.set_attributes(connection, username=username, attributes=kept, actor=actor(), now=now())
        return kept

    with opened(config) as server:
        found = server.store.write(change)
    if as_json:
        print_json(found)
    elif not found:
        click.echo(f"nothing is known of {username}: certbound user attributes {username} email=...")
    else:
        print_facts({name: value if isinstance(value, str) else json.dumps(value) for name, value in found.items()})


def _attribute(change: str) -> tuple[str, Any]:
    """Read NAME=VALUE or NAME:=JSON; None stands for taking it away."""
    name, separator, value = change.partition("=")
    if not separator:
        raise click.UsageError(f"{change!r}: write NAME=VALUE, NAME:=JSON or NAME=")
    if not name.endswith(":"):
        kind = attributes.kind_of(name)
        return name, _read_json(name, value) if value and kind not in {None, str} else value or None
    return name.removesuffix(":"), _read_json(name.removesuffix(":"), value)


def _read_json(name: str, text: str) -> Any:
    try:
        return json.loads(text, parse_constant=lambda _: _no_number(name))
    except (ValueError, RecursionError):
        raise people.PersonError(f"{text!r} cannot be the attribute {name}: it is not JSON") from None


def _no_number(name: str) -> Any:
    raise ValueError(name)


def _remove_totp(config: Path, username: str, as_json: bool) -> None:
    def change(connection: Connection) -> Person | None:
        if not second_factor.remove(connection, username=username, actor=actor(), now=now()):
            raise people.PersonError(f"{username!r} has no second factor")
        return stored_people.load(connection, username)

    with opened(config) as server:
        _print(server.store.write(change), as_json)


def _set_disabled(config: Path, username: str, as_json: bool, *, disabled: bool) -> None:
    def change(connection: Connection) -> Person | None:
        people.disable(connection, username=username, disabled=disabled, actor=actor(), now=now())
        return stored_people.load(connection, username)

    with opened(config) as server:
        _print(server.store.write(change), as_json)


def _password(file: Path | None, from_stdin: bool) -> str:
    if file is not None and from_stdin:
        raise click.UsageError("give --password-file or --password-stdin, not both")
    if file is not None:
        return read_password(file)
    if from_stdin:
        return without_line_end(sys.stdin.read(MAX_TEXT))
    if sys.stdin.isatty():
        answer: str = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
        return answer
    raise people.PersonError(
        "a password is needed, and there is no terminal to ask: --password-file or --password-stdin"
    )


def _all(connection: Connection) -> Iterator[Person]:
    after = ""
    while page := stored_people.page(connection, after=after, limit=_PAGE):
        yield from page
        after = page[-1].username


def _members(person: Person) -> dict[str, Any]:
    return {
        "username": person.username,
        "sub": person.sub,
        "operator": person.operator,
        "disabled": person.disabled,
        "second_factor": person.sealed_totp is not None,
        "locked_until": time_text(_locked_until(person)),
        "created": time_text(person.created_at),
    }


def _state(person: Person) -> str:
    if person.disabled:
        return "disabled"
    locked = time_text(_locked_until(person))
    return "enabled" if locked is None else f"locked until {locked}"


def _locked_until(person: Person) -> int | None:
    return person.locked_until if person.locked_until is not None and person.locked_until > now() else None


def _print(person: Person | None, as_json: bool) -> None:
    if person is None:
        return
    if as_json:
        print_json(_members(person))
        return
    role = "operator, who runs the server" if person.operator else "resource owner"
    facts = {"user": person.username, "sub": person.sub, "role": role, "state": _state(person)}
    print_facts(facts | {"second factor": "one-time password" if person.sealed_totp is not None else "none"})
