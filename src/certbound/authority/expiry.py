"""When does the certificate that a client really uses run out, and is that to be warned about."""

from certbound.store.sightings import Sighting

WARNING_DAYS = (1, 7, 14, 30)
DAY = 86_400
SHORT_LIVED = 2 * DAY
"""Seconds of lifetime up to which a certificate is renewed by machine: only its last third is worth a word."""


def warning_days(seen: Sighting, now: int) -> int | None:
    """Give the smallest of 1, 7, 14 and 30 days within which the certificate runs out; None if it is longer good."""
    left, lifetime = seen.not_after - now, seen.not_after - seen.not_before
    if lifetime <= SHORT_LIVED and left > lifetime / 3:
        return None
    return next((days for days in WARNING_DAYS if left <= days * DAY), None)


def days_left(seen: Sighting, now: int) -> int:
    """Give the whole days until the certificate runs out, negative after it has."""
    return (seen.not_after - now) // DAY


def ending_text(seen: Sighting, now: int) -> str:
    """Say in a few words how long the certificate is good."""
    left, days = seen.not_after - now, days_left(seen, now)
    if left < 0:
        return "EXPIRED"
    text = f"{days} day{'' if days == 1 else 's'} left" if days else f"{left // 3600} h left"
    return f"{text}: RENEW" if warning_days(seen, now) is not None else text
