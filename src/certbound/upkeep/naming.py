"""What a duty is called where everybody may read it: in metrics, the status and the log."""

import hashlib


def duty_name(kind: str, trust_store: str, url: str) -> str:
    """Name a duty by its URL, whose query, which may carry what nobody should read, is a digest."""
    address, question, query = url.partition("?")
    digest = f"?{hashlib.sha256(query.encode()).hexdigest()[:8]}" if question else ""
    return f"{kind} {trust_store} {address}{digest}"
