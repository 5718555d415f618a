"""The command line: start things, and change what the server has registered, whether it runs or not.

Owns what people type and read. Every decision is made below: this room reads files and flags, calls `authority` on the
store as the administrator, and prints. The console and the admin API are `web`'s.
"""
