"""Whether a process lives, and whether it may be sent requests."""

import pytest
from tests.authority.assembling import new_registered

from certbound.store.engine import Store

from .conftest import MASTER_KEY, POLICY, Face


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
async def test_a_server_in_order_lives_and_is_ready(face: Face, path: str) -> None:
    answer = await face.ask("GET", path)
    assert (answer.status_code, answer.text) == (200, "ok\n")


async def test_a_server_that_cannot_confirm_its_registrations_lives_and_is_not_ready(face: Face) -> None:
    face.registered._confirmed_at = float("-inf")
    assert (await face.ask("GET", "/healthz")).status_code == 200
    answer = await face.ask("GET", "/readyz")
    assert answer.status_code == 503
    assert "revision" in answer.text


async def test_a_server_without_a_signing_key_is_not_ready(face: Face) -> None:
    with Store("sqlite://") as empty:
        face.registered = new_registered(empty, MASTER_KEY, POLICY.methods)
        await face.registered.refresh()
        answer = await face.ask("GET", "/readyz")
        assert answer.status_code == 503
        assert "certbound keys rotate" in answer.text
