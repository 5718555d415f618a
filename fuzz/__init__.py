"""Every reader of what strangers send, fed with inputs nobody would write: `make fuzz`.

Owns the targets, their seeds and mutations, and what counts as a crash. That a reader refuses the right things is the
matter of `tests`.
"""
