"""What OAuth clients see: the token endpoint, the keys and the metadata.

Turns HTTP into values for `authority` and its answers into HTTP; the protocol rules are `oauth`'s.
"""
