import subprocess
import sys

SERVER_ONLY = ("OpenSSL", "uvicorn", "starlette", "sqlalchemy", "alembic", "pydantic_settings", "click", "structlog")
BLOCK = """
import importlib.abc, sys
class Refuse(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {blocked!r}:
            raise ImportError(name + " is blocked")
sys.meta_path.insert(0, Refuse())
"""
IMPORT = """
import certbound.client
assert certbound.client.__all__
print(*sorted({name.partition(".")[0] for name in sys.modules}))
"""
CONSTRUCT = """
from certbound.client import AsyncClient, CertificateAuth, Client, ClientCertificate
who = {"issuer": "https://as.example", "client_id": "robot"}
makers = [
    lambda: Client(**who, certificate=ClientCertificate("a", "b")),
    lambda: AsyncClient(**who, certificate=ClientCertificate("a", "b")),
    lambda: CertificateAuth(**who, certificate="a", key="b", origins=[]),
]
for make in makers:
    try:
        make()
    except ImportError as exc:
        print(exc)
"""
OLD_NAME = """
import httpx2
sys.modules["httpx"] = httpx2
sys.modules["httpx2"] = None
from certbound.client import Client
print(Client.__mro__[1] is httpx2.Client)
"""


def run(blocked: tuple[str, ...], *code: str) -> str:
    program = BLOCK.format(blocked=blocked) + "".join(code)
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=True
    ).stdout


def test_the_room_imports_without_the_servers_dependencies() -> None:
    modules = set(run((*SERVER_ONLY, "cryptography", "joserfc"), IMPORT).split())
    assert not modules & {*SERVER_ONLY, "cryptography", "joserfc"}
    assert "httpx2" in modules


def test_without_an_http_library_it_imports_and_advises() -> None:
    printed = run(("httpx2", "httpx"), CONSTRUCT).splitlines()
    assert printed == ["certbound.client needs httpx2: pip install 'certbound[client]'"] * 3


def test_httpx_serves_where_httpx2_is_not() -> None:
    assert run((), OLD_NAME).strip() == "True"
