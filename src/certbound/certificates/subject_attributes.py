"""Does a certificate's subject hold certain attributes: `certbound_subject_attributes`, where only some are stable."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from certbound.certificates import attributes
from certbound.certificates.certificate import Certificate
from certbound.certificates.check import Check
from certbound.certificates.names import Attribute, DistinguishedName

PARAMETER: Final = "certbound_subject_attributes"
MAXIMUM_ATTRIBUTES: Final = 10
MAXIMUM_VALUE: Final = 1024
"""Characters of an attribute's value."""


@dataclass(frozen=True, slots=True)
class SubjectAttributes:
    """What the subject of a client's certificates must hold beside whatever else: pairs of dotted OID and value.

    `parse` makes it. Where a type stands in a subject several times, one of its values must be the registered one.
    Raises DistinguishedNameError where a value holds a character that may not be in a name.
    """

    values: tuple[tuple[str, str], ...]
    _expected: DistinguishedName = field(init=False, repr=False, compare=False)
    """The same, prepared for comparison: one part for each."""

    def __post_init__(self) -> None:
        parts = tuple((Attribute(oid, value),) for oid, value in self.values)
        object.__setattr__(self, "_expected", DistinguishedName(parts))

    @classmethod
    def parse(cls, mapping: Mapping[str, str]) -> "SubjectAttributes":
        """Check what somebody registers: attribute names of RFC 4514 and X.520, or dotted OIDs, with their values.

        Raises ValueError, whose text says what to do.
        """
        if not 0 < len(mapping) <= MAXIMUM_ATTRIBUTES:
            raise ValueError(f"{PARAMETER} takes 1 to {MAXIMUM_ATTRIBUTES} attributes, such as serialNumber")
        values: dict[str, str] = {}
        for name, value in mapping.items():
            oid = attributes.oid_of(name)
            if oid is None:
                raise ValueError(f"{name[:50]!r} is no known attribute type, write its dotted OID")
            if oid in values:
                raise ValueError(f"{name} is given twice, once under another name: give it once")
            values[oid] = _checked(name, value)
        return cls(tuple(values.items()))

    def check(self, certificate: Certificate) -> Check:
        """Compare each with the subject's attributes of its type, by the type's matching rule; all must be there."""
        present = {attribute for rdn in certificate.subject.canonical for attribute in rdn}
        expected = zip(self._expected.rdns, self._expected.canonical, strict=True)
        missing = [part[0] for part, canonical in expected if canonical[0] not in present]
        return Check(
            check=PARAMETER,
            passed=bool(self.values) and not missing,
            expected=self._expected.text,
            found="; ".join(_instead_of(part, certificate) for part in missing) or self._expected.text,
            reference="RFC 4517 section 4.2",
        )

    def as_metadata(self) -> dict[str, str]:
        """Give the wire form: attribute names, or dotted OIDs of types without one, with their values."""
        return {attributes.name_of(oid) or oid: value for oid, value in self.values}


def _checked(name: str, value: object) -> str:
    if not isinstance(value, str) or not value.strip() or len(value) > MAXIMUM_VALUE:
        raise ValueError(f"the value of {name} must be a text of 1 to {MAXIMUM_VALUE} characters")
    return value


def _instead_of(expected: Attribute, certificate: Certificate) -> str:
    subject = (attribute for rdn in certificate.subject.rdns for attribute in rdn)
    same_type = [attribute.text[:200] for attribute in subject if attribute.oid == expected.oid]
    return f"{' and '.join(same_type[:3]) or f'no {expected.name}'} where {expected.text} is registered"
