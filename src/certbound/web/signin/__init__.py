"""The pages that people see: signing in, agreeing, what they allowed, signing out, and what went wrong.

Owns how they look, what their forms carry and which cookies there are; works without JavaScript. What an OAuth request
asks for, and where its answer goes, is `web.oauth`'s; who may sign in is `authority`'s.
"""
