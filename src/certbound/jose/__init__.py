"""Sign, verify, JWK sets: the only room that imports joserfc.

Owns keys as values and the JWS rules (algorithm allow-list, `typ`, `kid`). What a token says is `oauth.access_token`'s
matter; where keys are kept is `store`'s.
"""
