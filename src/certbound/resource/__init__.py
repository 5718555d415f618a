"""For APIs: accept a token only from the holder of the certificate it is bound to (RFC 8705 section 3).

Owns the checks of a resource server (RFC 9068 section 4, RFC 6750) and how an ASGI app gets them. How tokens are signed
is `jose`'s, what binds them is `oauth.binding`'s, where the issuer's keys are brought in from is `fetch`'s.
"""

from certbound.resource.asgi import CertificateBoundMiddleware, requires
from certbound.resource.direct import DirectTLS
from certbound.resource.verifier import BoundToken, TokenRefused, Verifier

__all__ = ["BoundToken", "CertificateBoundMiddleware", "DirectTLS", "TokenRefused", "Verifier", "requires"]
