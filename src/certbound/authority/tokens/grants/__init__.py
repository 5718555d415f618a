"""How an authenticated client comes to an authorization: one grant, one file, one function (RFC 6749 section 4)."""
