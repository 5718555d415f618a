"""`certbound status`: what this server is and what it holds, without anything secret."""

import time
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import click

from certbound.cli.keys import key_rows
from certbound.cli.output import json_option, print_facts, print_json, print_table, time_text
from certbound.cli.version import program_version
from certbound.config.loading import load_settings
from certbound.config.settings import Settings
from certbound.store import counts
from certbound.store import keys as stored_keys
from certbound.store.engine import Connection, Store
from certbound.store.upgrading import SchemaState, check
from certbound.tls.linked import openssl_versions
from certbound.upkeep.standing import read_standing


@click.command("status")
@json_option
@click.pass_obj
def command(config: Path, as_json: bool) -> None:
    """Show version, issuer, database, signing keys, listeners and numbers; whether or not the server runs."""
    settings = load_settings(config)
    schema = check(settings.store.url)
    described: dict[str, Any] = {
        "version": program_version(),
        "config": str(config.resolve()),
        "issuer": settings.issuer,
        "schema": schema,
        "openssl": openssl_versions(),
        "listeners": _listeners(settings),
    }
    if schema is SchemaState.CURRENT:
        with Store(settings.store.url) as store:
            described |= store.read(partial(_registered, settings=settings)) | store.read(_standing)
    if as_json:
        print_json(described)
    else:
        _print(described)


def _listeners(settings: Settings) -> list[dict[str, Any]]:
    return [
        {
            "name": listener.name,
            "bind": listener.bind,
            "client_certificate": listener.client_certificate,
            "serves": list(listener.serves),
        }
        for listener in settings.listener
    ]


def _registered(connection: Connection, settings: Settings) -> dict[str, Any]:
    keys = key_rows(stored_keys.load_all(connection), settings)
    shown = ("kid", "algorithm", "state", "default", "created")
    return {
        "registered": asdict(counts.read(connection)),
        "signing_keys": [{name: key[name] for name in shown} for key in keys if key["retired"] is None],
    }


def _standing(connection: Connection) -> dict[str, Any]:
    now = int(time.time())
    standing = read_standing(connection, now)
    return {
        "duties": [
            {
                "duty": duty.name,
                "last_run": time_text(duty.last_run),
                "last_success": time_text(duty.last_success),
                "failure": duty.failure,
            }
            for duty in standing.duties
        ],
        "revocation_lists": [
            {
                "trust_store": crl.store,
                "issuer": crl.issuer,
                "kind": "delta" if crl.is_delta else "complete",
                "next_update": time_text(crl.next_update),
                "stale": crl.next_update <= now,
            }
            for crl in standing.crls
        ],
        "certificates_expiring": {f"within_{days}_days": count for days, count in standing.expiring.items()},
    }


def _print(described: dict[str, Any]) -> None:
    facts = {name: described[name] for name in ("version", "config", "issuer", "schema")}
    versions = {f"OpenSSL ({name})": text for name, text in described["openssl"].items()}
    numbers = described.get("registered", {}) | {
        f"certificates in use expiring {name}": count
        for name, count in described.get("certificates_expiring", {}).items()
        if count
    }
    print_facts(facts | versions | {name.replace("_", " "): number for name, number in numbers.items()})
    for title in ("listeners", "signing_keys", "duties", "revocation_lists"):
        rows = described.get(title, [])
        if rows:
            click.echo(f"\n{title.replace('_', ' ')}")
            cells = [[" ".join(v) if isinstance(v, list) else v for v in row.values()] for row in rows]
            print_table([name.replace("_", " ") for name in rows[0]], cells)
