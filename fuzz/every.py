"""All targets by name."""

from fuzz.target import Target
from fuzz.targets import certificates, chain, fetching, files, jose, names, oauth, revocation

_GROUPS = (certificates, names, files, chain, oauth, jose, fetching, revocation)
TARGETS: dict[str, Target] = {target.name: target for group in _GROUPS for target in group.TARGETS}
