"""The entries of a CRL in few bytes: each serial number once, sorted, to be found without reading the CRL again."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

from certbound.certificates import der

REMOVE_FROM_CRL: Final = "removeFromCRL"
_REMOVE_FROM_CRL_CODE: Final = 8
_REMOVE_LAST: Final = 0xFF
"""What stands for 8 in a record: the last, so that another entry of the same serial number wins."""
_REASONS: Final = {
    0: "unspecified",
    1: "keyCompromise",
    2: "cACompromise",
    3: "affiliationChanged",
    4: "superseded",
    5: "cessationOfOperation",
    6: "certificateHold",
    9: "privilegeWithdrawn",
    10: "aACompromise",
    _REMOVE_LAST: REMOVE_FROM_CRL,
}
_REASON_CODE: Final = "2.5.29.21"
_INVALIDITY_DATE: Final = "2.5.29.24"
_CERTIFICATE_ISSUER: Final = "2.5.29.29"
_BOOLEAN: Final = 0x01
_INTEGER: Final = 0x02
_ENUMERATED: Final = 0x0A
_UTC_TIME: Final = 0x17
_TIME_OCTETS: Final = 5
_FACTS_OCTETS: Final = 1 + _TIME_OCTETS
_LONG_FORM: Final = 0x80
_NEGATIVE: Final = 0x80
_CENTURY_TURNS: Final = 50
"""A year of two digits from here on is of the 20th century (RFC 5280 section 4.1.2.5.1)."""


class EntryError(ValueError):
    """The list of revoked certificates may not be used; the message is one line for people."""


@dataclass(frozen=True, slots=True)
class Revoked:
    """Why and since when a certificate is revoked: `reason` as in RFC 5280 section 5.3.1, `at` aware and UTC."""

    reason: str
    at: datetime


@dataclass(frozen=True, slots=True, eq=False)
class RevokedSerials:
    """Serial numbers by their width in octets; a record is the number, the reason (1 octet) and the time (5 octets).

    Exact, and never larger than the list was in the CRL; a lookup compares some 20 records, even among millions.
    """

    entries: int
    records: Mapping[int, bytes]

    def find(self, serial_number: int) -> Revoked | None:
        """Look a serial number up."""
        if serial_number <= 0:
            return None
        width = _width(serial_number)
        records, size = self.records.get(width, b""), width + _FACTS_OCTETS
        wanted = serial_number.to_bytes(width, "big")
        index = bisect_left(range(len(records) // size), wanted, key=lambda i: records[i * size : i * size + width])
        record = records[index * size : (index + 1) * size]
        if record[:width] != wanted:
            return None
        at = datetime.fromtimestamp(int.from_bytes(record[width + 1 :], "big", signed=True), UTC)
        return Revoked(_REASONS[record[width]], at)


def read_revoked(encoded: bytes, start: int, end: int) -> RevokedSerials:
    """Read the content of `revokedCertificates`, which lies between two offsets of a CRL's DER.

    Raises EntryError for an entry that makes a demand certbound does not know (RFC 5280 section 5.3: such a CRL must
    not be used), among them the entries of an indirect CRL, and ValueError or IndexError for one that is malformed.
    Serial numbers below 1 are passed over, as no certificate that is accepted has one.
    """
    reason, moment = lru_cache(1024)(_read_reason), lru_cache(4096)(_read_time)
    lists, count = defaultdict[int, list[bytes]](list), 0
    while start < end:
        start, stop = _content(encoded, start)
        number = start + 2
        time = number + encoded[start + 1]
        extensions = time + 2 + encoded[time + 1]
        if encoded[start] != _INTEGER or extensions > stop or stop > end:
            raise EntryError("an entry of the CRL is malformed, get the CRL anew")
        serial = encoded[number:time].lstrip(b"\0")
        if serial and not encoded[number] & _NEGATIVE:
            record = serial + reason(encoded[extensions:stop]) + moment(encoded[time:extensions])
            lists[len(serial)].append(record)
        start, count = stop, count + 1
    records = {}
    for width in list(lists):
        found = lists.pop(width)
        found.sort()
        records[width] = b"".join(found)
    return RevokedSerials(count, records)


def _content(encoded: bytes, start: int) -> tuple[int, int]:
    """Give where an entry's content starts and ends; own code, as this runs a million times."""
    length = encoded[start + 1]
    if encoded[start] != der.SEQUENCE:
        raise EntryError("an entry of the CRL is malformed, get the CRL anew")
    if not length & _LONG_FORM:
        return start + 2, start + 2 + length
    content = start + 2 + (length & ~_LONG_FORM)
    return content, content + int.from_bytes(encoded[start + 2 : content], "big")


def _width(serial_number: int) -> int:
    return (serial_number.bit_length() + 7) // 8


def _read_time(encoded: bytes) -> bytes:
    """Read a Time element, by hand as `strptime` takes five times as long and each entry may have its own."""
    text = encoded[2:].decode("ascii")
    if encoded[0] == _UTC_TIME:
        text = ("19" if int(text[:2]) >= _CENTURY_TURNS else "20") + text
    if len(text) != len("20260101000000Z") or text[-1] != "Z":
        raise ValueError("a revocation date that is not in DER")
    date = datetime(int(text[:4]), int(text[4:6]), int(text[6:8]), tzinfo=UTC)
    seconds = int(text[8:10]) * 3600 + int(text[10:12]) * 60 + int(text[12:14])
    return (int(date.timestamp()) + seconds).to_bytes(_TIME_OCTETS, "big", signed=True)


def _read_reason(encoded: bytes) -> bytes:
    """Read crlEntryExtensions (empty bytes where there are none) for the reason, one octet."""
    code = 0
    for _, extension in der.read_all(der.read_only(encoded, der.SEQUENCE)) if encoded else ():
        (_, oid), *critical, (_, value) = der.read_all(extension)
        name = der.decode_oid(oid)
        if name == _REASON_CODE:
            code = int.from_bytes(der.read_only(value, _ENUMERATED), "big")
        elif name == _CERTIFICATE_ISSUER:
            raise EntryError("the CRL is an indirect one, which is not supported: give the issuer's own CRL")
        elif name != _INVALIDITY_DATE and critical and critical[0] != (_BOOLEAN, b"\0"):
            raise EntryError(f"an entry of the CRL has the unknown critical extension {name}")
    code = _REMOVE_LAST if code == _REMOVE_FROM_CRL_CODE else code
    if code not in _REASONS:
        raise EntryError(f"an entry of the CRL has the unknown reason {code}")
    return bytes([code])
