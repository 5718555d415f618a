"""What the operating system says of a process, and what a row of the report is."""

import os
from pathlib import Path

TICK = os.sysconf("SC_CLK_TCK")
Row = tuple[str, str, str]
"""What was measured, the figure, what is wanted."""


def cpu_seconds(pid: int) -> float:
    """Give the CPU that a process has used, user and system."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def resident_mib(pid: int) -> float:
    """Give the memory of a process that is in RAM."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
