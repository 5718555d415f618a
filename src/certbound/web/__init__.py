"""The faces over HTTP: `web.oauth` for clients. Owns reading requests and writing answers, and decides nothing."""
