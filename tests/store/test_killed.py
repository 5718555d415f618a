import subprocess
import sys

from certbound.store import audit
from certbound.store.engine import Store

_WRITER = """
import sys
from certbound.store import audit
from certbound.store.engine import Store

def append(connection):
    head = audit.locked_head(connection)
    row = audit.AuditRow(head.sequence + 1, 0, "a", "b", "c", "{}", head.hash, bytes(32))
    audit.append(connection, [row])
    return row.sequence

store = Store(sys.argv[1])
while True:
    print(store.write(append), flush=True)
"""


def test_what_a_killed_process_acknowledged_is_there(sqlite_url: str) -> None:
    acknowledged = 0
    for kill_after in (1, 7, 40):
        with subprocess.Popen([sys.executable, "-c", _WRITER, sqlite_url], stdout=subprocess.PIPE, text=True) as writer:
            assert writer.stdout is not None
            for _ in range(kill_after):
                acknowledged = int(writer.stdout.readline())
            writer.kill()
            rest = writer.stdout.read().splitlines(keepends=True)
            acknowledged = max([acknowledged, *(int(line) for line in rest if line.endswith("\n"))])
        with Store(sqlite_url) as store:
            rows = store.read(lambda connection: audit.page(connection, limit=100_000))
            head = store.read(audit.head)
        assert [row.sequence for row in rows] == list(range(1, head.sequence + 1))
        assert acknowledged <= head.sequence <= acknowledged + 1
