import re
import subprocess
import sys
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from random import Random

import pytest
from fuzz.every import TARGETS
from fuzz.target import MAXIMUM_GROWTH, BrokenError, Target, TooMuchError, execute, expect

from fuzz import __main__ as program

PROJECT = Path(__file__).parent.parent.parent
SEEDS, MUTATIONS = 600, 1000


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.filterwarnings("ignore")
def test_a_reader_gives_a_value_or_its_own_refusal(name: str) -> None:
    """A few seconds of `make fuzz`, the same each time."""
    target, choice = TARGETS[name], Random(0)  # noqa: S311 - repeatable
    seeds = [data for data in islice(target.seeds(), SEEDS) if len(data) <= target.maximum]
    assert seeds
    for data in seeds:
        execute(target, data)
    for _ in range(MUTATIONS):
        data = target.changed(choice.choice(seeds), choice)
        execute(target, data[: target.maximum])


def _target(run: object) -> Target:
    return Target("x", run, (ValueError,), lambda: [b""])  # type: ignore[arg-type]


def test_what_counts_as_a_crash() -> None:
    execute(_target(int), b"no number")
    with pytest.raises(RecursionError):
        execute(_target(lambda _: (_ for _ in ()).throw(RecursionError)), b"")
    with pytest.raises(BrokenError, match="kept"):
        execute(_target(lambda _: expect(False, "not kept")), b"")


def test_an_input_that_takes_too_much_memory_is_a_crash(monkeypatch: pytest.MonkeyPatch) -> None:
    # A peak is never forgotten, so a real one would show only in a process that never had a higher one.
    monkeypatch.setattr("fuzz.target._peak", iter((0, MAXIMUM_GROWTH, 0, MAXIMUM_GROWTH + 1)).__next__)
    execute(_target(int), b"1")
    with pytest.raises(TooMuchError, match="memory"):
        execute(_target(int), b"1")


def test_an_input_of_which_a_crash_is_known_is_replayed_by_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = tmp_path / "form.parse_form-crash-0123456789abcdef"
    kept.write_bytes(b"client_id=a")
    monkeypatch.setattr("sys.argv", ["fuzz", "--replay", str(kept)])
    assert program.main() == 0


def test_the_program_says_how_much_it_tried() -> None:
    """One second, for real; where atheris has no wheel it says so."""
    command = [sys.executable, "-m", "fuzz", "--seconds", "1", "--target", "bearer.bearer_token"]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    if find_spec("atheris") is None:
        assert (done.returncode, "wheels" in done.stderr) == (2, True)
    else:
        assert done.returncode == 0, done.stderr
        assert re.search(r"1 targets, [1-9][0-9,]* inputs, 0 crashes", done.stdout)


PLANTED = """
import sys
from pathlib import Path
from fuzz import every, guided
from fuzz.target import Target
every.TARGETS["planted"] = Target("planted", lambda data: data[:4][3], (ValueError,), lambda: [b"four"])
guided.main("planted", 20, 1, Path(sys.argv[1]))
"""


def test_an_input_that_crashes_a_reader_is_found_and_kept(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PLANTED, tmp_path], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    if find_spec("atheris") is None:
        assert "atheris" in done.stderr
    else:
        assert done.returncode == 77
        assert len(next(tmp_path.glob("planted-crash-*")).read_bytes()) < 4
