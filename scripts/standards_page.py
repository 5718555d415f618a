"""Write docs/standards.md: which line of the standards has which test; with --check say whether it is out of date."""

import ast
import sys
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "standards.md"
HEAD = """\
# Standards, line by line

<!-- Generated from the tests' `req` marks by `make docs`; edit there. -->

Each requirement of a standard that certbound implements has a test marked with its number: the standard's, then the
line within it (`8705-07` is the seventh of RFC 8705). Where standards disagree, certbound decides:

- The audience of a token is the `resource` asked for, the `default_audience` of the settings, or the issuer.
- Algorithms: ES256 by default; ES384, RS256, PS256 and EdDSA are offered.
- Refresh tokens of public clients are rotated, and their reuse revokes the family; those of confidential clients are
  not rotated, so that they survive the renewal of a certificate.
- The password grant, which RFC 9700 forbids, exists for those who come from a system that has it: off until the server
  and the client both switch it on, and warned about at every start.
- A client registered for bound tokens that shows no certificate gets an error, never an unbound token.
- The self-signed method compares the whole certificate.
- http redirect URIs are allowed on the local machine only.
"""


def marks() -> dict[str, list[str]]:
    """Collect the tests of each requirement, from the source of the tests."""
    found: dict[str, list[str]] = defaultdict(list)
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                for requirement in _requirements(node):
                    found[requirement].append(f"{path.relative_to(ROOT)}::{node.name}")
    return dict(sorted(found.items()))


def _requirements(test: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    return [
        argument.value
        for decorator in test.decorator_list
        if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == "pytest.mark.req"
        for argument in decorator.args
        if isinstance(argument, ast.Constant) and isinstance(argument.value, str)
    ]


def page() -> str:
    """Give the whole page."""
    found = marks()
    rows = [f"| {number} | {'<br>'.join(f'`{test}`' for test in tests)} |" for number, tests in found.items()]
    return "\n".join([HEAD, f"{len(found)} lines have a test.", "", "| line | shown by |", "|---|---|", *rows, ""])


def main() -> int:
    """Write the page, or compare it."""
    if "--check" in sys.argv:
        if not PAGE.exists() or PAGE.read_text("utf-8") != page():
            print("docs/standards.md is out of date: run `make docs`", file=sys.stderr)
            return 1
        print(f"{len(marks())} lines of the standards have a test (docs/standards.md)")
        return 0
    PAGE.write_text(page(), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
