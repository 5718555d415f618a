import subprocess
import sys

SERVER_ONLY = ("OpenSSL", "uvicorn", "starlette", "sqlalchemy", "alembic", "pydantic_settings", "click", "structlog")

PROBE = """
import importlib.abc, sys
class Refuse(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {blocked!r}:
            raise ImportError(name + " is blocked")
sys.meta_path.insert(0, Refuse())
import {room}
assert {room}.__all__
print(*sorted({{name.partition(".")[0] for name in sys.modules}}))
{more}
"""


def imported(room: str, blocked: tuple[str, ...], more: str = "") -> set[str]:
    code = PROBE.format(blocked=blocked, room=room, more=more)
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True)
    return set(run.stdout.split())


def test_the_room_imports_without_the_servers_dependencies() -> None:
    modules = imported("certbound.resource", (*SERVER_ONLY, "httpx2", "httpx"), "import certbound.jose.jwt")
    assert not modules & {*SERVER_ONLY, "httpx2", "httpx", "rich", "argon2"}


def test_keys_and_signatures_are_left_for_the_first_request() -> None:
    assert "joserfc" not in imported("certbound.resource", ())
