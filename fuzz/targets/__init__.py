"""The readers, one file for each group: what to call, which refusals are its own, what to begin with."""
