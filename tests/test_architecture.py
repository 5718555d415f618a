"""The shape of the house, held by tests: names, floors, and what an import costs."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parent.parent
SOURCE = PROJECT / "src" / "certbound"
BANNED = {"utils", "helpers", "common", "shared", "base", "manager", "service", "impl"}
HEAVY = ["OpenSSL", "sqlalchemy", "starlette", "uvicorn", "click", "structlog", "pydantic", "argon2"]
PACKAGES = sorted(path.parent for path in SOURCE.rglob("__init__.py"))
CURATED = {"client", "resource"}


def test_no_file_or_folder_has_a_name_that_says_nothing() -> None:
    assert [path for path in SOURCE.rglob("*") if path.stem in BANNED] == []


@pytest.mark.parametrize("package", PACKAGES, ids=lambda path: path.name)
def test_a_package_says_what_it_owns_and_does_nothing_else(package: Path) -> None:
    tree = ast.parse((package / "__init__.py").read_text("utf-8"))
    assert ast.get_docstring(tree)
    rest = tree.body[1:]
    if package.parent != SOURCE or package.name not in CURATED:
        assert rest == []
        return
    *imports, names = rest
    assert isinstance(names, ast.Assign)
    assert ast.unparse(names.targets[0]) == "__all__"
    imported = [alias.name for node in imports if isinstance(node, ast.ImportFrom) for alias in node.names]
    assert all(isinstance(node, ast.ImportFrom) for node in imports)
    assert ast.literal_eval(names.value) == sorted(imported)


def test_every_folder_with_code_is_a_package() -> None:
    assert {path.parent for path in SOURCE.rglob("*.py")} == set(PACKAGES)


def test_the_libraries_load_nothing_of_the_server() -> None:
    light = [
        ".".join(path.relative_to(PROJECT / "src").with_suffix("").parts)
        for room in ("certificates", "jose", "fetch", "resource", "client", "oauth")
        for path in sorted((SOURCE / room).rglob("*.py"))
        if path.name != "__init__.py" and path.relative_to(SOURCE).as_posix() != "oauth/authentication.py"
    ]
    program = (
        f"import importlib, sys\nfor name in {light!r}: importlib.import_module(name)\n"
        f"print(*[name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_imports_go_down_only() -> None:
    command = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([command, "--no-cache"], cwd=PROJECT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
