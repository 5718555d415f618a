"""Where a certificate says that its status is told: OCSP responders and CRL distribution points (RFC 5280)."""

from collections.abc import Iterable, Iterator
from typing import Final

from cryptography import x509
from cryptography.x509.oid import AuthorityInformationAccessOID

from certbound.certificates import names
from certbound.certificates.names import DistinguishedName

MAXIMUM_OCSP_URLS: Final = 5
MAXIMUM_URL: Final = 2048
"""Characters of an OCSP responder's URL; longer ones are passed over."""
MAXIMUM_POINTS: Final = 20
"""Names of distribution points that are kept; whoever has more finds no CRL for the rest."""

PointName = str | DistinguishedName
"""A distribution point's name: a URI as it is, or a directory name."""


def read_ocsp_urls(access: x509.AuthorityInformationAccess | None) -> tuple[str, ...]:
    """Give the URIs of id-ad-ocsp (RFC 5280 section 4.2.2.1), the first five."""
    found = [
        description.access_location.value
        for description in access or ()
        if description.access_method == AuthorityInformationAccessOID.OCSP
        and isinstance(description.access_location, x509.UniformResourceIdentifier)
    ]
    return tuple(url for url in found if len(url) <= MAXIMUM_URL and url.isprintable())[:MAXIMUM_OCSP_URLS]


def read_points(points: x509.CRLDistributionPoints | None, issuer: DistinguishedName) -> frozenset[PointName]:
    """Give the names under which a CRL of `issuer` may appear (RFC 5280 section 4.2.1.13). Raises ValueError.

    A point for some reasons only, or of another CRL issuer, is passed over: certbound takes no such CRL.
    """
    whole = [point for point in points or () if point.reasons is None and point.crl_issuer is None]
    found = set[PointName]()
    for point in whole[:MAXIMUM_POINTS]:
        found.update(read_point_names(point.full_name, point.relative_name, issuer))
    return frozenset(found)


def read_point_names(
    full: Iterable[x509.GeneralName] | None,
    relative: x509.RelativeDistinguishedName | None,
    issuer: DistinguishedName,
) -> Iterator[PointName]:
    """Give the URIs and directory names of a DistributionPointName; a relative one is completed. Raises ValueError."""
    for name in list(full or ())[:MAXIMUM_POINTS]:
        if isinstance(name, x509.UniformResourceIdentifier):
            yield name.value
        elif isinstance(name, x509.DirectoryName):
            yield names.from_der(name.value.public_bytes())
    if relative is not None:
        own = names.from_der(x509.Name([relative]).public_bytes())
        yield DistinguishedName((*own.rdns, *issuer.rdns))
