"""What stands in a certificate, for programs and for people."""

from datetime import datetime
from ipaddress import ip_address
from typing import Any

from certbound.certificates.certificate import Certificate
from certbound.certificates.policy import check_self_signed
from certbound.cli.output import print_facts, time_text

_PURPOSES = {
    "1.3.6.1.5.5.7.3.1": "serverAuth",
    "1.3.6.1.5.5.7.3.2": "clientAuth",
    "1.3.6.1.5.5.7.3.3": "codeSigning",
    "1.3.6.1.5.5.7.3.4": "emailProtection",
    "1.3.6.1.5.5.7.3.8": "timeStamping",
    "1.3.6.1.5.5.7.3.9": "OCSPSigning",
    "2.5.29.37.0": "anyExtendedKeyUsage",
}


def certificate_members(certificate: Certificate, alias: str | None, now: datetime) -> dict[str, Any]:
    """Give the members that `cert show --json` prints; `problems` are why it could not authenticate a client now."""
    usage = certificate.extended_key_usage
    return {
        **({"alias": alias} if alias is not None else {}),
        "subject": certificate.subject.text,
        "issuer": certificate.issuer.text,
        "san": {
            "dns": list(certificate.san.dns),
            "uri": list(certificate.san.uri),
            "ip": [str(ip_address(packed)) for packed in certificate.san.ip],
            "email": list(certificate.san.email),
        },
        "not_before": time_text(certificate.not_before),
        "not_after": time_text(certificate.not_after),
        "serial_number": f"{certificate.serial_number:x}",
        "is_ca": certificate.is_ca,
        "key": certificate.key.text,
        "key_usage": sorted(certificate.key_usage) if certificate.key_usage is not None else None,
        "extended_key_usage": [_PURPOSES.get(oid, oid) for oid in usage] if usage is not None else None,
        "sha256": certificate.sha256.hex(),
        "x5t#S256": certificate.x5t_s256,
        "sha1": certificate.sha1.hex(),
        "public_key_sha256": certificate.spki_sha256.hex(),
        "problems": [] if certificate.is_ca else _problems(certificate, now),
    }


def print_certificate(certificate: Certificate, alias: str | None, now: datetime) -> None:
    """Print the same for people."""
    members = certificate_members(certificate, alias, now)
    names = {f"SAN {kind}": values for kind, values in members.pop("san").items()}
    usages = {name: _listed(members.pop(name)) for name in ("key_usage", "extended_key_usage")}
    facts = {name: members.pop(name) for name in ("alias", "subject", "issuer") if name in members}
    problems = {"problems": members.pop("problems")}
    print_facts(
        {name.replace("_", " "): value for name, value in (facts | names | members | usages | problems).items()}
    )


def _problems(certificate: Certificate, now: datetime) -> list[str]:
    return [
        f"{check.check}: found {check.found}, expected {check.expected} ({check.reference})"
        for check in check_self_signed(certificate, now)
        if not check.passed
    ]


def _listed(usages: list[str] | None) -> str:
    return "any" if usages is None else ", ".join(usages)
