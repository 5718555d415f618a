"""The one outbound door: https only but for signed content, bounded, pinned to the address checked, no redirects.

Owns how a document that somebody else named (a `jwks_uri`, an issuer, a CRL) is brought in, which addresses may be
reached for it, and how long it is fresh. Standard library only, so that the libraries stay light. What a document means
is its caller's matter.
"""
