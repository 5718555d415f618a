"""What a worker of the server knows, without a server around it."""

from certbound.authority.client_keys import ClientKeySets
from certbound.authority.deciding import Decider
from certbound.authority.ocsp_answers import OCSPAnswers
from certbound.authority.outbound import Outbound
from certbound.authority.registered import Registered
from certbound.fetch.trust import trust_roots
from certbound.oauth.registration import AuthenticationMethod
from certbound.store.engine import Store


def new_registered(store: Store) -> Registered:
    """Make it over a store."""
    outbound = Outbound(trust_roots())
    decider = Decider(ClientKeySets(outbound), OCSPAnswers(outbound))
    return Registered(
        store, bytes(32), decider, methods=frozenset(AuthenticationMethod), issuer="https://as.example", max_age=3600
    )
