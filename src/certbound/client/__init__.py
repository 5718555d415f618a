"""For callers: get a token with a certificate, and use it over connections with that same certificate.

Owns the client's side of RFC 8705: discovery, the token request, keeping a token, renewing a certificate. `resource` is
the other side. Works with httpx2, or httpx where that is what is installed; without either it still imports.
"""

from certbound.client.auth import CertificateAuth
from certbound.client.certificate import ClientCertificate
from certbound.client.exchange import Token, TokenError
from certbound.client.session import AsyncClient, Client

__all__ = ["AsyncClient", "CertificateAuth", "Client", "ClientCertificate", "Token", "TokenError"]
