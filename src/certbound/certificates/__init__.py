"""X.509 as values and pure functions: parsing, names, matching, policy, files, a development CA.

Owns everything that can be said of one certificate on its own. Whether it leads to an anchor is `chain`'s question,
whether it means a client is `oauth.authentication`'s. The only rooms that import cryptography are this and `jose`.
"""
