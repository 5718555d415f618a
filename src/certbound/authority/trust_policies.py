"""What a trust store asks beyond a path to an anchor, and where that is fetched: revocation, purposes, trust domain."""

from dataclasses import dataclass, fields, replace
from typing import Any, Final

from certbound.authority.records import record
from certbound.authority.trust import TrustError, existing, existing_or_new, is_of_bundle, read_trust_domain
from certbound.certificates.revocation import Revocation
from certbound.fetch.target import TargetError, parse_target
from certbound.store import revision
from certbound.store import revocation as stored_revocation
from certbound.store import trust as stored_trust
from certbound.store.engine import Connection
from certbound.store.revocation import CRLSource
from certbound.store.trust import TrustStore

REVOCATION: Final = tuple(mode.value for mode in Revocation)
ON_UNAVAILABLE: Final = ("refuse", "accept")
EXTENDED_KEY_USAGE: Final = ("optional", "require")
MAXIMUM_GRACE: Final = 30 * 86_400
"""Seconds."""
MAXIMUM_SOURCES: Final = 20
"""URLs of CRLs for one store."""


@dataclass(frozen=True, slots=True)
class PolicyChanges:
    """What is to be changed of a store's policy; None leaves a member as it is, an empty text takes it away.

    `grace_seconds` is how long a CRL or OCSP answer still counts after its nextUpdate. `crl_urls` is the whole set.
    """

    revocation: str | None = None
    on_unavailable: str | None = None
    grace_seconds: int | None = None
    extended_key_usage: str | None = None
    trust_domain: str | None = None
    bundle_url: str | None = None
    ocsp_url: str | None = None
    crl_urls: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class TrustPolicy:
    """A store with its policy, and the URLs its CRLs are fetched from."""

    store: TrustStore
    crl_urls: tuple[str, ...]

    def as_members(self) -> dict[str, Any]:
        """Give the policy by the names of its settings."""
        names = [field.name for field in fields(PolicyChanges) if field.name != "crl_urls"]
        return {name: getattr(self.store, name) for name in names} | {"crl_urls": list(self.crl_urls)}


def policy(connection: Connection, name: str) -> TrustPolicy:
    """Give a store's policy. Raises TrustError."""
    store = existing(connection, name)
    return TrustPolicy(store, tuple(source.url for source in stored_revocation.sources(connection, name)))


def update(connection: Connection, name: str, changes: PolicyChanges, *, actor: str, now: int) -> TrustPolicy:
    """Change a store's policy. Raises TrustError, and then nothing changes.

    With a bundle's URL and its trust domain the store is made where it is new: its anchors come from there.
    """
    revision.bump(connection)
    if changes.bundle_url and changes.trust_domain:
        existing_or_new(connection, name, now)
    before = policy(connection, name)
    store = _changed(before.store, changes)
    _check_bundle(connection, before.store, store)
    stored_trust.set_policy(connection, store)
    if changes.crl_urls is not None:
        _replace_sources(connection, before, _urls(changes.crl_urls))
    after = policy(connection, name)
    detail = {"before": before.as_members(), "after": after.as_members()}
    record(connection, at=now, actor=actor, action="trust.policy_changed", target=name, detail=detail)
    return after


def _changed(store: TrustStore, changes: PolicyChanges) -> TrustStore:
    _check_choice("revocation", changes.revocation, REVOCATION)
    _check_choice("on-unavailable", changes.on_unavailable, ON_UNAVAILABLE)
    _check_choice("extended-key-usage", changes.extended_key_usage, EXTENDED_KEY_USAGE)
    if changes.grace_seconds is not None and not 0 <= changes.grace_seconds <= MAXIMUM_GRACE:
        raise TrustError(f"--grace is 0 to {MAXIMUM_GRACE} seconds")
    wanted = {
        field.name: value
        for field in fields(changes)
        if field.name != "crl_urls" and (value := getattr(changes, field.name)) is not None
    }
    if changes.trust_domain is not None:
        wanted["trust_domain"] = read_trust_domain(changes.trust_domain) if changes.trust_domain else None
    if changes.ocsp_url is not None:
        wanted["ocsp_url"] = _url("--ocsp-url", changes.ocsp_url, signed=True) if changes.ocsp_url else None
    if changes.bundle_url is not None:
        wanted["bundle_url"] = _url("--bundle-url", changes.bundle_url, signed=False) if changes.bundle_url else None
        wanted["bundle_sequence"] = None  # another publisher counts anew
    return replace(store, **wanted)


def _check_choice(option: str, value: str | None, choices: tuple[str, ...]) -> None:
    if value is not None and value not in choices:
        raise TrustError(f"--{option} is one of {', '.join(choices)}")


def _check_bundle(connection: Connection, before: TrustStore, after: TrustStore) -> None:
    """Refuse what would leave anchors that vouch for another trust domain than the one they came for."""
    held = any(certificate.kind == "anchor" for certificate in stored_trust.certificates(connection, after.name))
    if after.bundle_url is not None and after.trust_domain is None:
        raise TrustError("a bundle is of one trust domain: say which with --trust-domain")
    if is_of_bundle(after) and held and not is_of_bundle(before):
        raise TrustError(
            f"trust store {after.name!r} holds anchors that came in no bundle: give the bundle a store of its own"
        )
    if is_of_bundle(before) and held and after.trust_domain != before.trust_domain:
        raise TrustError(
            f"the anchors of {after.name!r} are those of the trust domain {before.trust_domain}: "
            "give another one a store of its own"
        )


def _replace_sources(connection: Connection, before: TrustPolicy, urls: tuple[str, ...]) -> None:
    name = before.store.name
    for url in before.crl_urls:
        if url not in urls:
            stored_revocation.remove_source(connection, name, url)
    for url in urls:
        if url not in before.crl_urls:
            stored_revocation.add_source(connection, CRLSource(name, url))


def _urls(urls: tuple[str, ...]) -> tuple[str, ...]:
    checked = tuple(dict.fromkeys(_url("--crl-url", url, signed=True) for url in urls if url))
    if len(checked) > MAXIMUM_SOURCES:
        raise TrustError(f"a trust store has at most {MAXIMUM_SOURCES} URLs of CRLs")
    return checked


def _url(option: str, url: str, *, signed: bool) -> str:
    """Check a URL: over plain http only what is signed itself is fetched."""
    try:
        parse_target(url, plain=signed)
    except TargetError as error:
        raise TrustError(f"{option} {url}: {error}") from None
    return url
