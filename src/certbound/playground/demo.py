"""All of it, told in order: certificates, the server and what is registered, the steps, and the verdict."""

import asyncio
import contextlib
import logging
import shlex
import signal
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import uvloop

from certbound.app.logs import configure_logging
from certbound.app.wiring import make_decider
from certbound.authority.deciding import decide_once
from certbound.certificates.presented import PresentedChain
from certbound.config.settings import LogSettings
from certbound.oauth.authentication import Decision
from certbound.oauth.credentials import Credentials, ShownMethod
from certbound.playground.certificates import Identity, make_certificates
from certbound.playground.registrations import Registered, set_up
from certbound.playground.request import RequestError, ask
from certbound.playground.screen import Screen
from certbound.playground.server import Places, make_door, take_places
from certbound.playground.story import Scene, Step, differences, steps
from certbound.store.engine import Store
from certbound.tls.serving import running

LOG_FILE = "server.log"
RENEW_SECONDS = 120
"""How often the token in the lines to try is renewed while the demo stays up; well within its lifetime."""


class DemoError(RuntimeError):
    """The demo cannot be told there; one line says why."""


def run(directory: Path | None, once: bool) -> int:
    """Tell the story in a temporary folder or in `directory`; give the exit code. For the main thread.

    With `once` it ends after the last step; otherwise the server stays up until SIGINT or SIGTERM. 0 means that every
    step gave what it should. Raises DemoError for a folder that will not do, and DoorError and its like where the
    server cannot start.
    """
    screen = Screen()
    with _ended_by_sigterm(), _folder(directory) as folder, contextlib.ExitStack() as stack:
        try:
            places = take_places(stack)
            scene = _prepare(screen, folder, places)
            with _logging_to(folder / LOG_FILE), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                return runner.run(_perform(screen, scene, places, once=once))
        except KeyboardInterrupt:
            screen.say("Interrupted.")
            return 1


def _prepare(screen: Screen, folder: Path, places: Places) -> Scene:
    """Make what the story needs, and print the lines with which anybody could."""
    now = datetime.now(UTC)
    screen.heading("1. Certificates: two CAs, four clients' certificates, and one that signs itself")
    made = make_certificates(folder, now)
    screen.say(made.how)
    screen.command(f"cd {shlex.quote(str(folder))}")
    for line in made.commands:
        screen.command(line)
    screen.heading("2. The authorization server, and what is registered there")
    registered = set_up(made.cast, issuer=places.issuer, bind=places.bind, audience=places.audience, now=now)
    for line in registered.commands:
        screen.command(line)
    return Scene(made.cast, registered, places.issuer, places.audience)


async def _perform(screen: Screen, scene: Scene, places: Places, *, once: bool) -> int:
    """Start the server and the API, go through the steps, and stay up if asked to."""
    ended = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    async with running(make_door(scene.registered, places), places.sockets, graceful_seconds=2):
        screen.heading("3. The story: every request is a real one, over TLS")
        screen.say(f"authorization server  {scene.issuer}")
        screen.say(f"sample API            {scene.audience}")
        failed = []
        told = steps(scene)
        for step in told:
            if ended.is_set():
                screen.say("Interrupted.")
                return 1
            if not await _take(screen, scene, step):
                failed.append(step)
        _conclude(screen, told, failed)
        if not once:
            await _stay(screen, scene, told, ended)
    return 1 if failed else 0


async def _take(screen: Screen, scene: Scene, step: Step) -> bool:
    """Take one step and print it; whether it gave exactly what it should."""
    screen.step(step)
    try:
        answer = await asyncio.to_thread(ask, step.request)
    except RequestError as error:
        screen.verdict(step.title, (f"the request could not be made: {error}",))
        return False
    screen.answer(answer)
    problems = differences(step.expected, answer, now=time.time())
    if step.keeps_token is not None and not problems:
        _keep(step.keeps_token, answer.members["access_token"])
    if step.explained is not None:
        problems += await asyncio.to_thread(_explain, screen, scene.registered, step, step.explained)
    screen.verdict("as it must be", problems)
    return not problems


def _explain(screen: Screen, registered: Registered, step: Step, identity: Identity) -> tuple[str, ...]:
    """Print what the operator sees of a refusal, and say where that is not what it should be."""
    client_id = dict(step.request.form)["client_id"]
    decision = _decide(registered, client_id, identity)
    config, certificate = str(registered.installation.config), str(identity.certificate_file)
    line = shlex.join(["certbound", "-c", config, "explain", "--client", client_id, "--certificate", certificate])
    screen.explanation(line, decision.failed)
    found = tuple(check.check for check in decision.failed)
    return () if found == step.expected.failed else (f"failed checks should be {step.expected.failed}, are {found}",)


def _decide(registered: Registered, client_id: str, identity: Identity) -> Decision:
    """Decide as `certbound explain` does, by what the server's own database says."""
    settings = registered.settings
    with Store(settings.store.url) as store:
        return asyncio.run(
            decide_once(
                store,
                make_decider(settings),
                Credentials(client_id, ShownMethod.NOTHING, PresentedChain(identity.certificate.der)),
                enabled=settings.oauth.client_authentication_methods,
                issuer=settings.issuer,
                now=datetime.now(UTC),
            )
        )


def _conclude(screen: Screen, told: tuple[Step, ...], failed: list[Step]) -> None:
    screen.heading("What it proves")
    if failed:
        names = ", ".join(f"({step.letter}) {step.title}" for step in failed)
        screen.verdict("", (f"{len(failed)} of {len(told)} steps did not give what they should: {names}",))
        return
    screen.say("A token got with a certificate works with that certificate, and in no other hands.")
    screen.verdict(f"{len(told)} of {len(told)} steps gave what they should", ())


async def _stay(screen: Screen, scene: Scene, told: tuple[Step, ...], ended: asyncio.Event) -> None:
    """Stay up until a signal, and keep the token in the lines to try a fresh one."""
    screen.heading("It stays up: try it yourself")
    screen.say(f"authorization server  {scene.issuer}/.well-known/oauth-authorization-server")
    screen.say(f"sample API            {scene.audience}")
    screen.say(f"files                 {scene.cast.folder}")
    screen.say(f"settings              {scene.registered.installation.config}")
    screen.say(f"server's log          {scene.cast.folder / LOG_FILE}")
    screen.say(f"administrator         {scene.registered.installation.admin_user}")
    for step in told:
        screen.say(f"({step.letter}) {step.title}: {step.expected.status}")
        screen.command(step.request.curl)
    screen.say("Ctrl-C ends it.")
    while not ended.is_set():
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(ended.wait(), RENEW_SECONDS)
            break
        await _renew(told[0])
    screen.say("Ended.")


async def _renew(step: Step) -> None:
    """Get a new token where the first step got one; where that fails the old one stays."""
    with contextlib.suppress(RequestError):
        answer = await asyncio.to_thread(ask, step.request)
        if step.keeps_token is not None and "access_token" in answer.members:
            _keep(step.keeps_token, answer.members["access_token"])


def _keep(file: Path, token: str) -> None:
    """Write a token as the header line that curl reads by `-H @FILE`; whole at any moment."""
    new = file.with_suffix(".new")
    new.touch(mode=0o600)
    new.write_text(f"Authorization: Bearer {token}\n", "ascii")
    new.replace(file)


@contextlib.contextmanager
def _folder(directory: Path | None) -> Iterator[Path]:
    """Give a temporary folder that goes in the end, or an empty one that stays. Raises DemoError."""
    if directory is None:
        with tempfile.TemporaryDirectory(prefix="certbound-demo-") as made:
            yield Path(made).resolve()
        return
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        taken = any(directory.iterdir())
    except OSError as error:
        raise DemoError(f"{directory}: {error.strerror}: give a new or an empty folder") from None
    if taken:
        raise DemoError(f"{directory} is not empty: give a new or an empty folder")
    yield directory.resolve()


@contextlib.contextmanager
def _logging_to(file: Path) -> Iterator[None]:
    """Send warnings of every logger to a file, one JSON object a line, and put logging back in the end."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    configure_logging(LogSettings(format="json", level="warning"))
    file.touch(mode=0o600)
    with file.open("a", encoding="utf-8") as stream:
        for handler in root.handlers:
            if isinstance(handler, logging.StreamHandler):
                handler.setStream(stream)
        try:
            yield
        finally:
            root.handlers[:] = handlers
            root.setLevel(level)


@contextlib.contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """Let SIGTERM end the demo as Ctrl-C does, so that its folder goes with it."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
