"""Does this leaf lead to that anchor: path validation by OpenSSL, through pyOpenSSL, behind one function.

Owns the only X509Store. What one certificate must be on its own (key, usages, names) is `certificates`' matter, which
this room asks about every CA certificate of a path; whether a trusted leaf means a client is `oauth.authentication`'s.
"""
