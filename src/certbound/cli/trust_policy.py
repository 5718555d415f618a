"""`certbound trust update`: what a trust store asks of its clients, and where it brings in what that needs."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from certbound.authority import revocation_lists, trust, trust_policies
from certbound.authority.trust_policies import PolicyChanges, TrustPolicy
from certbound.certificates.certificate import parse_certificate
from certbound.cli.deployment import actor, now, opened
from certbound.cli.output import json_option, note, print_facts, print_json
from certbound.store.engine import Connection

_EXAMPLES = """\b
Examples:
  certbound trust update partners --revocation crl --crl-url http://ca.example/partners.crl
  certbound trust update partners --revocation crl+ocsp --on-unavailable refuse --grace 3600
  certbound trust update mesh --trust-domain example.org --bundle-url https://spire.example/bundle
"""


@click.command("update", epilog=_EXAMPLES)
@click.argument("store")
@click.option(
    "--revocation",
    type=click.Choice(trust_policies.REVOCATION),
    help="Ask whether certificates were revoked: by CRLs, by OCSP, or by whichever of the two has an answer.",
)
@click.option(
    "--on-unavailable",
    type=click.Choice(trust_policies.ON_UNAVAILABLE),
    help="What happens to a client while no current CRL or OCSP answer is there.",
)
@click.option(
    "--grace",
    "grace_seconds",
    metavar="SECONDS",
    type=click.IntRange(0, trust_policies.MAXIMUM_GRACE),
    help="How long a CRL or OCSP answer still counts when its next one is overdue.",
)
@click.option(
    "--extended-key-usage",
    type=click.Choice(trust_policies.EXTENDED_KEY_USAGE),
    help="Whether a certificate must say that it is for clients, or may leave it out.",
)
@click.option("--ocsp-url", metavar="U", help="The OCSP responder to ask, whichever the certificates name.")
@click.option("--crl-url", "crl_urls", metavar="U", multiple=True, help="Where a CRL is fetched from; again for more.")
@click.option("--trust-domain", metavar="TD", help="Only X.509-SVIDs of this SPIFFE trust domain are accepted.")
@click.option("--bundle-url", metavar="U", help="Where the anchors are fetched from, as a SPIFFE bundle.")
@json_option
@click.pass_obj
def command(config: Path, /, *, store: str, as_json: bool, crl_urls: tuple[str, ...], **given: Any) -> None:
    """Change what a trust store asks of its clients.

    What is not given stays; an empty text takes a URL or the trust domain away.

    --crl-url names all of them: those there were and are not given again go. With --bundle-url and --trust-domain the
    store is made where it is new, as its anchors come from there.
    """
    changes = PolicyChanges(crl_urls=crl_urls or None, **given)
    if changes == PolicyChanges():
        raise click.UsageError("say what is to be changed")

    with opened(config) as server:
        policy = server.store.write(
            lambda connection: trust_policies.update(connection, store, changes, actor=actor(), now=now())
        )
        told = server.store.read(lambda connection: warnings(connection, store))
    for text in told:
        note(text)
    if as_json:
        print_json({"store": store} | policy.as_members())
    else:
        print_facts({"store": store} | policy_facts(policy))


def policy_facts(policy: TrustPolicy) -> dict[str, Any]:
    """Give the lines that tell people a store's policy."""
    store = policy.store
    is_on = store.revocation != "off"
    return {
        "revocation": store.revocation,
        "if unavailable": store.on_unavailable if is_on else None,
        "grace": f"{store.grace_seconds} s" if is_on and store.grace_seconds else None,
        "OCSP responder": store.ocsp_url,
        "CRLs from": policy.crl_urls,
        "extended key usage": store.extended_key_usage,
        "trust domain": store.trust_domain,
        "bundle from": store.bundle_url,
        "bundle refresh": f"{store.bundle_refresh} s" if store.bundle_refresh is not None else None,
        "bundle sequence": store.bundle_sequence,
    }


def warnings(connection: Connection, name: str) -> list[str]:
    """Say whom a store refuses although nobody revoked anything."""
    policy = trust_policies.policy(connection, name)
    store = policy.store
    anchors = [held for held in trust.show(connection, name)[0] if held.kind == "anchor" and not held.disabled]
    crls = revocation_lists.listed(connection, name)
    found = []
    if store.bundle_url is not None and not anchors:
        found.append(f"{store.name} vouches for nobody until the server has fetched the bundle")
    if store.revocation == "off":
        if policy.crl_urls or store.ocsp_url or crls:
            found.append(f"revocation is off for {store.name}: nothing is asked until --revocation switches it on")
        return found
    if store.on_unavailable == "accept" or ("ocsp" in store.revocation and store.ocsp_url):
        return found
    if store.revocation == "ocsp":
        found.append(
            f"clients of {store.name} whose certificates name no OCSP responder will be refused: see --ocsp-url"
        )
        return found
    in_force = [crl for crl in crls if not crl.is_delta and crl.next_update + store.grace_seconds > now()]
    signers = {crl.signer for crl in in_force}
    bare = [held.subject for held in anchors if parse_certificate(held.der).spki_sha256.hex() not in signers]
    if bare:
        found.append(_without_crl(policy, bare, everyone=len(bare) == len(anchors)))
    return found


def _without_crl(policy: TrustPolicy, bare: Sequence[str], *, everyone: bool) -> str:
    store = policy.store
    who = "every client of this store" if everyone else f"every client below {', '.join(bare)}"
    if "ocsp" in store.revocation:
        who += " whose certificate names no OCSP responder"
    if policy.crl_urls:
        return f"{who} will be refused until the server has fetched a current CRL of every CA of its path"
    advice = f"`certbound trust crl add {store.name} FILE`, or --crl-url"
    return f"{who} will be refused until a current CRL of every CA of its path is there: {advice}"
