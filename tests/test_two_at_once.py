"""Two syncs of one store that begin at the same moment: tests/colliding.py lets them."""

import json
import subprocess
import sys
from pathlib import Path

import duckdb

from tests.colliding import RECORDS

ROOT = Path(__file__).parent.parent
ROUNDS = 20
PATIENCE_S = 600.0


def test_of_two_syncs_at_once_one_is_refused_and_nothing_is_doubled(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.colliding", str(tmp_path), str(ROUNDS)],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")
    rounds = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(rounds) == ROUNDS
    refused = f"etl: error: {tmp_path}/executions.duckdb: another sync of this store is running"
    for first, second in rounds:
        assert (first["code"], first["said"], second["code"]) == (0, "", 5)
        # The first one may have the lock, and not yet have written whose it is.
        holders = ("", f" (process {first['process_id']})")
        assert second["said"] in [f"{refused}{holder}\n" for holder in holders]
    sys.stdout.write(f"refused after {max(second['took_s'] for _, second in rounds)} s at most\n")
    with duckdb.connect(str(tmp_path / "executions.duckdb"), read_only=True) as connection:
        found = connection.execute(
            "SELECT count(*), count(DISTINCT id), (SELECT count(*) FROM etl.runs) "
            "FROM riza.executions"
        ).fetchall()
    assert found == [(RECORDS, RECORDS, ROUNDS)]
