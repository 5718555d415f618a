"""The protocol rules as pure values and functions: no I/O, no clock, no randomness.

Owns what the RFCs say about requests, clients, scopes, binding and tokens. What is remembered between requests is
`authority`'s, how it travels over HTTP is `web`'s. Only `oauth.authentication` looks at chains.
"""
