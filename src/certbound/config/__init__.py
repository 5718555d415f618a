"""One TOML file in, validated settings out.

Owns what an operator can set, and the words that tell him what is wrong with it. What the settings mean is decided
where they are used; nothing else in the house reads the environment.
"""
