"""How the story is printed: with colour on a terminal, as plain text elsewhere; lines are never broken."""

import json
from datetime import UTC, datetime

from rich.console import Console
from rich.text import Text

from certbound.certificates.check import Check
from certbound.playground.request import Answer
from certbound.playground.story import Step, token_claims

_CLAIMS = ("sub", "client_id", "aud", "scope")
_SHOWN = 12
"""How much of a token is shown, at its start and at its end."""


class Screen:
    """Prints to standard output. A line to type begins with `$ ` and is whole, however long."""

    def __init__(self) -> None:
        self._console = Console(highlight=False)
        plain = self._console.options.ascii_only
        self._tick, self._cross = ("ok", "FAILED") if plain else ("✓", "✗")

    def heading(self, text: str) -> None:
        """Begin a part of the story."""
        self._print()
        self._print(text, "bold underline" if self._console.is_terminal else "")
        if not self._console.is_terminal:
            self._print("-" * len(text))

    def say(self, text: str) -> None:
        """Print a sentence."""
        self._print(text)

    def command(self, line: str) -> None:
        """Print a line to type, or a remark among such lines."""
        self._print(line if line.startswith("#") else f"$ {line}", "dim" if line.startswith("#") else "cyan")

    def step(self, step: Step) -> None:
        """Print what is tried, why, and the line to type for it."""
        self._print()
        self._print(f"({step.letter}) {step.title}", "bold")
        self._print(step.why, "dim")
        self.command(step.request.curl)

    def answer(self, answer: Answer) -> None:
        """Print what came back, in short."""
        members, claims = answer.members, token_claims(answer)
        self._fact(str(answer.status), _summary(answer))
        for name in _CLAIMS:
            if name in claims:
                self._fact(f"  {name}", str(claims[name]))
        for method, value in claims.get("cnf", {}).items():
            self._fact(f"  cnf {method}", str(value))
        if "exp" in claims:
            expiry = datetime.fromtimestamp(claims["exp"], UTC)
            self._fact("  exp", f"{expiry:%Y-%m-%d %H:%M:%S} UTC, {members.get('expires_in')} s from its issue")
        if answer.challenge:
            self._fact("  WWW-Authenticate", answer.challenge)

    def explanation(self, line: str, failed: tuple[Check, ...]) -> None:
        """Print what only the operator can see: which checks failed."""
        self._print("The client is told no more than that. The operator can ask why:", "dim")
        self.command(line)
        for check in failed:
            self._fact(f"failed: {check.check}", f"({check.reference})")
            self._fact("  expected", check.expected)
            self._fact("  found", check.found)

    def verdict(self, text: str, problems: tuple[str, ...]) -> None:
        """Print whether a step gave what it should, or everything about it that is not so."""
        if not problems:
            self._print(f"{self._tick} {text}", "green")
        for problem in problems:
            self._print(f"{self._cross} {problem}", "bold red")

    def _fact(self, name: str, value: str) -> None:
        self._print(f"  {name:<18} {value}")

    def _print(self, text: str = "", style: str = "") -> None:
        self._console.print(Text(text, style), soft_wrap=True)


def _summary(answer: Answer) -> str:
    members = dict(answer.members)
    if "access_token" in members:
        token = members["access_token"]
        return f"access_token {token[:_SHOWN]}...{token[-_SHOWN:]} ({members.get('token_type')})"
    if "error" in members:
        return f"{members['error']}: {members.get('error_description', '')}"
    return json.dumps(members)
