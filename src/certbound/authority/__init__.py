"""What the server decides and records: the one floor where rules meet storage.

`tokens` walks a token request from credentials to an answer; `registered` is what a worker knows of clients and keys;
`clients`, `trust`, `people` and `keys` change what is registered, each change with its audit row in the same
transaction; `records` keeps the audit chain and the trail of issued tokens. Rules are `oauth`'s, SQL is `store`'s.
"""
