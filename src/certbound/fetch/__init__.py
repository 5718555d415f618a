"""The one outbound door: https only, bounded, pinned to the address that was checked, no redirects.

Owns how a document that somebody else named (a `jwks_uri`, an issuer, a CRL) is brought in, and which addresses may be
reached for it. Standard library only, so that the libraries stay light. What a document means is its caller's matter.
"""
