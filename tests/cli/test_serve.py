import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import Certbound, program


@pytest.mark.parametrize(
    ("missing", "advice"),
    [("certbound.db", "db upgrade"), ("master.key", "master.key"), ("server.key", "server.key")],
)
def test_the_server_does_not_start_without_what_it_needs(certbound: Certbound, missing: str, advice: str) -> None:
    (certbound.folder / missing).unlink()
    certbound.config.write_text(certbound.config.read_text().replace("127.0.0.1:9443", "127.0.0.1:0"))
    ended = program("-c", certbound.config, "serve", code=1)
    assert advice in ended.stderr
    assert "Traceback" not in ended.stderr
    assert ended.stderr.splitlines()[-1].startswith("certbound: ")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def test_a_served_client_gets_its_token_and_ctrl_c_ends_it(
    certbound: Certbound, self_signed: Path, tmp_path: Path
) -> None:
    port = _free_port()
    text = certbound.config.read_text()
    certbound.config.write_text(text.replace("9443", str(port)))
    certbound.done(
        "client", "create", "p", "--id", "p", "--auth", "self_signed_tls_client_auth", "--certificate", self_signed
    )
    command = [sys.executable, "-m", "certbound.cli.entry", "-c", str(certbound.config), "serve"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        try:
            assert server.stdout is not None
            assert server.stdout.readline() == f"listening on 127.0.0.1:{port} (main)\n"
            key = self_signed.with_name("key.pem")
            ask = ("token", "--issuer", f"https://localhost:{port}", "--client-id", "p", "--key", key)
            trusting = ("--cacert", certbound.folder / "server.crt")
            token = certbound.json(*ask, "--cert", self_signed, *trusting)
            assert token["token_type"] == "Bearer"
            assert token["access_token"].count(".") == 2
            assert certbound.done(*ask, "--cert", self_signed, *trusting).count(".") == 2
            assert "invalid_client" in certbound.refused(*ask[:4], "x", *ask[5:], "--cert", self_signed, *trusting)
            assert "No such file" in certbound.refused(*ask, "--cert", tmp_path / "nothing", *trusting)
            certbound.refused(*ask, "--cert", self_signed)  # nobody vouches for the server
        finally:
            server.send_signal(signal.SIGINT)
            assert server.wait(30) == 0
    assert "refused" in certbound.refused(*ask, "--cert", self_signed, *trusting).lower()
