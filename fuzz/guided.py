"""Fuzz one target in this process, guided by coverage: atheris, which is libFuzzer for Python.

Chosen because it is the plainest thing that finds real crashes: it is maintained, installs as a wheel, follows which
branches of certbound an input reaches, and its watchdog also ends what hangs inside C. What it lacks is knowledge of
DER and JSON, and that is `mutation`. It ends the process: with 0, or with 77 once an input failed.
"""

import importlib
import random
import sys
import tempfile
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from fuzz.target import Target, execute

_HANG_SECONDS = 120
"""Of the clock, as others may use the machine; two seconds of CPU are a crash before that."""
_MEMORY_MIB = 1024


def main(name: str, seconds: int, seed: int, found: Path) -> None:
    """Fuzz the target for so long; an input that fails is written into `found`."""
    warnings.simplefilter("ignore")
    atheris: Any = importlib.import_module("atheris")
    with atheris.instrument_imports(include=["certbound"]):
        target: Target = importlib.import_module("fuzz.every").TARGETS[name]

    def change(data: bytes, most: int, chosen: int) -> bytes:
        choice = random.Random(chosen)
        if target.mutate is not None and data and choice.random() < 0.7:  # noqa: PLR2004 - most often
            changed = target.mutate(data, choice)
            if len(changed) <= most:
                return changed
        mutated: bytes = atheris.Mutate(data, most)
        return mutated

    with tempfile.TemporaryDirectory(prefix="certbound-fuzz-") as folder:
        options = _options(target, Path(folder), seconds, seed, found)
        more = {"custom_mutator": change} if target.mutate else {}
        atheris.Setup([sys.argv[0], *options], lambda data: execute(target, data), **more)
        atheris.Fuzz()


def _options(target: Target, folder: Path, seconds: int, seed: int, found: Path) -> Iterable[str]:
    corpus = folder / "seeds"
    corpus.mkdir()
    for number, data in enumerate(target.seeds()):
        if len(data) <= target.maximum:
            (corpus / str(number)).write_bytes(data)
    words = folder / "words"
    words.write_text("".join(f'"{_escape(word)}"\n' for word in (*target.words, b"\0")))
    found.mkdir(exist_ok=True)
    return (
        str(corpus),
        f"-dict={words}",
        f"-artifact_prefix={found}/{target.name}-",
        f"-max_total_time={seconds}",
        f"-max_len={target.maximum}",
        f"-seed={seed}",
        f"-timeout={_HANG_SECONDS}",
        f"-report_slow_units={_HANG_SECONDS}",
        f"-rss_limit_mb={_MEMORY_MIB}",
        "-print_final_stats=1",
    )


def _escape(word: bytes) -> str:
    return "".join(f"\\x{octet:02x}" for octet in word)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]))
