"""Background duties: revocation lists, SPIFFE bundles, expiry warnings, retiring keys, and removing the past.

Owns when a duty runs and who runs it: one worker of the whole deployment at a time, by a lease. What is changed and
removed is `authority`'s and `store`'s matter; each run leaves a row, for `certbound status` and the metrics.
"""
