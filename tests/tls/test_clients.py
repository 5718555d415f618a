"""Clients that others wrote, on connections of theirs."""

import json
import shutil
import subprocess

import pytest

from .conftest import SECONDS, OpenDoor

NODE = """
const https = require('https'), fs = require('fs');
const pem = fs.readFileSync(process.argv[2]), ca = fs.readFileSync(process.argv[3]);
const agent = new https.Agent({keepAlive: true, maxSockets: 1});
const options = {host: '127.0.0.1', port: process.argv[4], cert: pem, key: pem, ca, agent};
const ask = (left) => https.get(options, (answer) => {
  let text = ''; answer.on('data', (piece) => text += piece);
  answer.on('end', () => { console.log(JSON.parse(text).leaf); left ? ask(left - 1) : agent.destroy(); });
});
ask(4);
"""


def test_curl_asks_twice_over_one_connection(door: OpenDoor) -> None:
    host, port = door.addresses["want"]
    identity = door.pki.identities["self-signed"]
    command = ["curl", "-sS", "--cacert", str(door.pki.trust), "--cert", str(identity.file)]
    command += ["--resolve", f"localhost:{port}:{host}", "-d", "x" * 100_000, "-w", "\n%{num_connects}\n"]
    command += [f"https://localhost:{port}/"] * 2
    done = subprocess.run(command, capture_output=True, timeout=SECONDS, check=True)
    first, connects, second, more_connects = done.stdout.splitlines()
    assert json.loads(first)["leaf"] == json.loads(second)["leaf"] == identity.leaf
    assert json.loads(second)["length"] == 100_000
    assert (connects, more_connects) == (b"1", b"0")


@pytest.mark.skipif(shutil.which("node") is None, reason="there is no node here")
def test_node_asks_five_times_over_one_connection(door: OpenDoor) -> None:
    identity = door.pki.identities["chained"]
    command = ["node", "-", str(identity.file), str(door.pki.trust), str(door.addresses["want"][1])]
    done = subprocess.run(command, input=NODE, capture_output=True, text=True, timeout=SECONDS, check=True)
    assert done.stdout.split() == [identity.leaf] * 5
