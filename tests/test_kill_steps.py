"""What replaces or rewrites a store may be killed anywhere: tests/killing.py does it."""

import os
import random
import re
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import duckdb
import pytest

from etl.budget import start_budget
from etl.store.connect import open_writer
from tests.scenes import publishing

ROOT = Path(__file__).parent.parent
PATIENCE_S = 600.0
KILLS = 8
ROWS = 200_000


def run_module(*words: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, *words],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.mark.parametrize(
    ("scene", "steps"), [("publishing", 25), ("compacting", 15), ("migrating", 7)]
)
def test_killed_at_every_step_it_leaves_a_good_file(tmp_path: Path, scene: str, steps: int) -> None:
    with run_module("-m", "tests.killing", f"tests.scenes.{scene}", str(tmp_path)) as process:
        said, _ = process.communicate(timeout=PATIENCE_S)

    found = re.search(r"(\d+) kills, 0 bad", said)
    assert process.returncode == 0, said
    assert found, said
    assert int(found[1]) >= steps


def act_and_report(folder: Path) -> Sequence[str]:
    code = (
        "from pathlib import Path; from tests.scenes import publishing; print('go', flush=True); "
        f"publishing.act(Path({str(folder)!r}))"
    )
    return ("-c", code)


def test_killed_in_the_middle_of_a_statement_it_leaves_the_old_copy_or_the_new_one(
    tmp_path: Path,
) -> None:
    """Most of the time is spent inside DuckDB, where no line of ours is run."""
    seed = int(os.environ.get("KILL_SEED") or secrets.randbits(32))
    sys.stdout.write(f"KILL_SEED={seed}\n")
    chance = random.Random(seed)
    publishing.set_up(tmp_path)
    with open_writer(tmp_path / "store.duckdb", start_budget(None)) as connection:
        connection.execute(
            f"INSERT INTO lab.things (id, value) SELECT range, md5(range::VARCHAR) "
            f"FROM range({publishing.NEW}, {ROWS})"
        )
    began = time.monotonic()
    with run_module(*act_and_report(tmp_path)) as process:
        process.communicate(timeout=PATIENCE_S)
    took_s = time.monotonic() - began
    killed = 0
    for number in range(KILLS):
        with open_writer(tmp_path / "store.duckdb", start_budget(None)) as connection:
            connection.execute(f"INSERT INTO etl.runs (run_id, rows_new) VALUES ('{number}', 1)")
        with run_module(*act_and_report(tmp_path)) as process:
            assert process.stdout
            process.stdout.readline()
            time.sleep(chance.uniform(0.0, 0.8 * took_s))
            process.kill()
        killed += process.returncode == -signal.SIGKILL
        assert ask_count(tmp_path / "copy.duckdb") in (ROWS, publishing.OLD)
    sys.stdout.write(f"{killed} of {KILLS} killed before their end, one takes {took_s:.1f} s\n")

    assert killed >= KILLS // 3
    with run_module(*act_and_report(tmp_path)) as process:
        process.communicate(timeout=PATIENCE_S)
    assert ask_count(tmp_path / "copy.duckdb") == ROWS
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["copy.duckdb", "copy.duckdb.lock", "store.duckdb"]


def ask_count(path: Path) -> int:
    with run_module(
        "-c",
        "import sys; from pathlib import Path; from tests.scenes import publishing; "
        f"print(publishing.count(Path({str(path)!r})))",
    ) as process:
        said, _ = process.communicate(timeout=PATIENCE_S)
    return int(said)


def test_the_kills_would_find_a_copy_that_is_written_in_place(tmp_path: Path) -> None:
    """The check itself: half of a copy is told from a whole one."""
    publishing.set_up(tmp_path)
    copy = tmp_path / "copy.duckdb"
    copy.write_bytes(copy.read_bytes()[:20_000])

    with pytest.raises((AssertionError, duckdb.Error)):
        publishing.check(tmp_path)
