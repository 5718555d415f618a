"""From an authenticated client to a token: the grants, and the one pipeline they share.

Owns the order gather, decide, record. A grant is one file and one function in the table of `grants`.
"""
