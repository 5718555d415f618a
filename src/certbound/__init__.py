"""OAuth 2.0 with client certificates: who a machine is, and tokens that only that machine can use (RFC 8705)."""
