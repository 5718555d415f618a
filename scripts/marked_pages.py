"""Write the pages that the tests' marks make, docs/standards.md and docs/threats.md; with --check say what is stale."""

import ast
import sys
import tomllib
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
THREATS = Path(__file__).with_name("threats.toml")
STANDARDS_HEAD = """\
# Standards, line by line

<!-- Generated from the tests' `req` marks by `make docs`; edit there. -->

Each requirement of a standard that certbound implements has a test marked with its number: the standard's, then the
line within it (`8705-07` is the seventh of RFC 8705). Where standards disagree, certbound decides:

- The audience of a token is the `resource` asked for, the `default_audience` of the settings, or the issuer; a user's
  token with the scope `openid` names the issuer beside them, as it is for the UserInfo endpoint too.
- Algorithms: ES256 by default; ES384, RS256, PS256 and EdDSA are offered.
- Refresh tokens of public clients are rotated, and their reuse revokes the family; those of confidential clients are
  not rotated, so that they survive the renewal of a certificate.
- The password grant, which RFC 9700 forbids, exists for those who come from a system that has it: off until the server
  and the client both switch it on, and warned about at every start.
- A client registered for bound tokens that shows no certificate gets an error, never an unbound token.
- The self-signed method compares the whole certificate.
- http redirect URIs are allowed on the local machine only.
"""
THREATS_HEAD = """\
# Threats, row by row

<!-- Generated from scripts/threats.toml and the tests' `threat` marks by `make docs`; edit there. -->

What went wrong in other servers, proxies and libraries of this field, and what strangers may send: each row has tests,
marked with its number, that try the same here. Most of them shake hands with a running server, look for the trace
that the refusal left, and see that the next good client is served.
"""
Marks = dict[str, list[str]]


def marks(name: str) -> Marks:
    """Collect the tests marked with `pytest.mark.NAME(...)` by each of its arguments, from the source of the tests."""
    found: Marks = defaultdict(list)
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                for number in _arguments(node, f"pytest.mark.{name}"):
                    found[number].append(f"{path.relative_to(ROOT)}::{node.name}")
    return dict(sorted(found.items()))


def _arguments(test: ast.FunctionDef | ast.AsyncFunctionDef, mark: str) -> Iterator[str]:
    for decorator in test.decorator_list:
        if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == mark:
            for argument in decorator.args:
                if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                    yield argument.value


def _listed(tests: list[str]) -> str:
    return "<br>".join(f"`{test}`" for test in tests)


def standards() -> str:
    """Give the page on standards."""
    found = marks("req")
    rows = [f"| {number} | {_listed(tests)} |" for number, tests in found.items()]
    return "\n".join(
        [STANDARDS_HEAD, f"{len(found)} lines have a test.", "", "| line | shown by |", "|---|---|", *rows, ""]
    )


def threats() -> str:
    """Give the page on threats: the rows that have a test. Raises ValueError for a mark without a row."""
    document = tomllib.loads(THREATS.read_text("utf-8"))
    found = marks("threat")
    known = [row["id"] for section in document["section"] for row in section["row"]]
    if unknown := found.keys() - known:
        raise ValueError(f"marks without a row in {THREATS.name}: {', '.join(sorted(unknown))}")
    lines = [THREATS_HEAD, f"{len(found)} rows have tests."]
    for section in document["section"]:
        shown = [row for row in section["row"] if row["id"] in found]
        lines += ["", f"## {section['title']}", "", "| row | what | shown by |", "|---|---|---|"]
        lines += [f"| {row['id']} | {_told(row)} | {_listed(found[row['id']])} |" for row in shown]
    lines += ["", document["usages"].strip(), ""]
    return "\n".join(lines)


def _told(row: dict[str, str]) -> str:
    return f"{row['text']} ({row['seen']})" if "seen" in row else row["text"]


PAGES: dict[str, Callable[[], str]] = {"docs/standards.md": standards, "docs/threats.md": threats}


def main() -> int:
    """Write the pages, or compare them."""
    stale = []
    for name, make in PAGES.items():
        path, page = ROOT / name, make()
        if "--check" not in sys.argv:
            path.write_text(page, "utf-8")
        elif not path.exists() or path.read_text("utf-8") != page:
            stale.append(name)
    if stale:
        print(f"out of date: {', '.join(stale)}: run `make docs`", file=sys.stderr)
    return bool(stale)


if __name__ == "__main__":
    sys.exit(main())
