"""Fuzz every reader, two at a time, and say what was found: `make fuzz`.

An input that makes a reader raise what it does not document, or take over 2 s of CPU or 50 MiB more memory, ends its
target; it is kept in fuzz/found/ with the command that replays it, and the run exits with 1. `fuzz.guided` says with
what library, and why.
"""

# ruff: noqa: S603 - it talks to people, and runs itself

import argparse
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from fuzz.every import TARGETS
from fuzz.target import execute

_FOUND = Path(__file__).parent / "found"
_PARALLEL = 2
_GRACE_SECONDS = 180


@dataclass(frozen=True, slots=True)
class _Outcome:
    name: str
    executions: int
    failed: bool
    words: str


def main() -> int:
    """Run it."""
    options = _options()
    if options.replay:
        execute(TARGETS[options.replay.name.partition("-")[0]], options.replay.read_bytes())
        print("nothing happened")
        return 0
    if find_spec("atheris") is None:
        print("make fuzz needs atheris, which has wheels for Linux on x86-64", file=sys.stderr)
        return 2
    print(f"{'target':32}{'inputs':>12}  outcome", flush=True)
    with ThreadPoolExecutor(_PARALLEL) as pool:
        runs = [pool.submit(_run, name, options.seconds, options.seed) for name in options.target or TARGETS]
        outcomes = [run.result() for run in runs]
    crashes = [outcome for outcome in outcomes if outcome.failed]
    print(f"{len(outcomes)} targets, {sum(o.executions for o in outcomes):,} inputs, {len(crashes)} crashes")
    for crash in crashes:
        print(f"\n{crash.name}:\n{crash.words}", file=sys.stderr)
    return 1 if crashes else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make fuzz", description="Feed every reader with inputs nobody would write.")
    parser.add_argument("--seconds", type=int, default=600, help="for each target (600)")
    parser.add_argument("--target", action="append", choices=sorted(TARGETS), metavar="NAME", help=", ".join(TARGETS))
    parser.add_argument("--seed", type=int, default=0, help="repeat a run; 0 is a new one (0)")
    parser.add_argument("--replay", type=Path, metavar="FILE", help="run its target on a file of fuzz/found/")
    return parser.parse_args()


def _run(name: str, seconds: int, seed: int) -> _Outcome:
    command = [sys.executable, "-m", "fuzz.guided", name, str(seconds), str(seed), str(_FOUND)]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=seconds + _GRACE_SECONDS, check=False
        )
        output, failed = done.stdout + done.stderr, done.returncode != 0
    except subprocess.TimeoutExpired as error:
        output, failed = f"{error}: it did not end", True
    executions = re.search(r"number_of_executed_units: *(\d+)", output)
    count = int(executions[1]) if executions else 0
    print(f"{name:32}{count:>12,}  {'CRASH' if failed else 'no crash'}", flush=True)
    return _Outcome(name, count, failed, _explain(output) if failed else "")


def _explain(output: str) -> str:
    """Give what Python said, and the command that does it again."""
    kept = re.search(r"Test unit written to (\S+)", output)
    said = re.search(r"=== Uncaught Python exception: ===\n(.*?)\n\n", output, re.DOTALL)
    rest = "\n".join(line for line in output.splitlines() if not line.startswith("INFO: "))
    words = said[1] if said else rest[-2000:]
    return f"{words}\n\n  .venv/bin/python -m fuzz --replay {kept[1]}" if kept else words


if __name__ == "__main__":
    sys.exit(main())
