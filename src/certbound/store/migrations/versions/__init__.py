"""One file per step, numbered; `HEAD` in `certbound.store.upgrading` names the last."""
