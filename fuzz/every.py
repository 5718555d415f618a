"""All targets by name."""

from fuzz.target import Target
from fuzz.targets import certificates, chain, fetching, files, jose, names, oauth, registration, revocation

_GROUPS = (certificates, names, files, chain, oauth, registration, jose, fetching, revocation)
TARGETS: dict[str, Target] = {target.name: target for group in _GROUPS for target in group.TARGETS}
