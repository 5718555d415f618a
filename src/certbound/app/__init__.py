"""Settings in, a running server out: the only place where the rooms are wired together.

Owns which object is made from which setting, and what runs beside the requests. Decides nothing about requests.
"""
