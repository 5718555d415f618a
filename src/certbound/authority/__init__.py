"""What the server decides and records: the one floor where rules meet storage.

`tokens` walks a token request from credentials to an answer; `registered` is what a worker knows of clients, keys and
blocks; `deciding` decides with what lies outside the store, which `client_keys` and `ocsp_answers` bring in through
`outbound`. `clients`, `trust` (with `trust_policies`, `trust_bundles` and `revocation_lists`), `people` (with
`attributes` and `second_factor`), `keys` and `blocks` change what is registered, each change with its audit row in the
same transaction. `sign_in` finds out who somebody is, at what `attempts` may cost; `sessions` keeps who is signed in,
`authorizations` what they allowed clients. `records` keeps the audit chain and the trail of issued tokens, `refusals`
and `sightings` what was refused and seen. Rules are `oauth`'s, SQL is `store`'s.
"""
