"""A real Airflow on loopback, synced by the real command and compared with its own answers.

    python -m tests.live VENV      # VENV: a virtual environment with apache-airflow in it

Each check prints a line; the last line counts them. Exit code 0 if none failed.
"""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.live import workload
from tests.live.airflow_server import Airflow, LiveError, running_airflow
from tests.live.compare import (
    RUNS,
    TASKS,
    Key,
    Listing,
    Record,
    find_differences,
    query,
    read_api,
    read_store,
)
from tests.live.workload import FAILING_RUNS, MAPPED, QUICK, QUICK_RUNS, SECRET, WORK, Holds

SYNC_TIMEOUT_S = 120.0
SHOWN_PROBLEMS = 10
LOOKBACK_S = 5
UNSTAMPED = tuple(f"quick__{n:03}+00:00" for n in range(3))
CONFIG = """
[store]
path = "executions.duckdb"

[sources.live]
kind = "airflow"
base_url = "{base_url}"
token_env = "LIVE_TOKEN"
lookback = "{lookback_s}s"
page_size = 40
"""


@dataclass(slots=True)
class Report:
    """What was checked so far."""

    started_s: float = field(default_factory=time.monotonic)
    passed: int = 0
    failed: int = 0

    def check(self, what: str, problems: Sequence[str]) -> None:
        """One line per check, and its first problems below it."""
        self.passed += not problems
        self.failed += bool(problems)
        elapsed_s = time.monotonic() - self.started_s
        print(f"{'FAILED' if problems else 'passed'}  {elapsed_s:5.1f} s  {what}", flush=True)
        for problem in problems[:SHOWN_PROBLEMS]:
            print(f"        {problem}", flush=True)


@dataclass(frozen=True, slots=True)
class Lab:
    """What every step needs: the server, the folder of the store, and where to say how it went."""

    airflow: Airflow
    folder: Path
    report: Report

    @property
    def store(self) -> Path:
        return self.folder / "executions.duckdb"

    def run_etl(
        self, *arguments: str, token: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """The real command, in a process and a folder of its own."""
        return subprocess.run(
            [sys.executable, "-m", "etl", *arguments],
            cwd=self.folder,
            env={**os.environ, "LIVE_TOKEN": token or self.airflow.token},
            capture_output=True,
            text=True,
            timeout=SYNC_TIMEOUT_S,
        )

    def check_etl(self, what: str, *arguments: str) -> None:
        done = self.run_etl(*arguments)
        self.report.check(what, expect(0, done.returncode, done.stderr.strip()))
        if done.returncode:
            raise LiveError(f"etl {' '.join(arguments)} failed")

    def check_same(self, what: str) -> None:
        """The store holds what the API answers now, but for rows the API replaced."""
        for listing in (RUNS, TASKS):
            served, stored = read_api(self.airflow, listing), read_store(self.store, listing)
            kept = [row for row in stored if not is_replaced(listing, row, served)]
            differences = find_differences(kept, served, listing)
            self.report.check(f"{what}: {len(served)} {listing.name} are the API's", differences)

    def read_run(self, run_id: str) -> Record:
        for row in read_store(self.store, RUNS):
            if row["dag_run_id"] == run_id:
                return row
        raise LiveError(f"the run {run_id} is not in the store")

    def read_tasks(self, run_id: str) -> list[Record]:
        return [t for t in read_store(self.store, TASKS) if t["dag_run_id"] == run_id]


def is_replaced(listing: Listing, row: Record, served: dict[Key, Record]) -> bool:
    """Whether a row stands for a mapped task that has its parts by now: the API forgot it."""
    if listing is not TASKS or row["map_index"] != -1 or listing.key_of(row) in served:
        return False
    return (*listing.key_of(row)[:-1], 0) in served


def expect(expected: Any, found: Any, context: str = "") -> list[str]:
    return [] if expected == found else [f"expected {expected!r}, found {found!r} {context}"]


def main(venv: Path) -> int:
    # A stopped test must not leave Airflow behind: the exception unwinds what was started.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    report = Report()
    folder = Path(tempfile.mkdtemp(prefix="etl-live-"))
    dags = Path(__file__).parent / "dags"
    with running_airflow(venv / "bin", folder / "airflow", dags) as airflow:
        lab = Lab(airflow, folder / "etl", report)
        try:
            run_steps(lab)
        except LiveError as error:
            report.check("the test ran to its end", [str(error)])
    if report.failed:
        print(f"logs and store are in {folder}")
    else:
        shutil.rmtree(folder)
    print(f"{report.passed} passed, {report.failed} failed")
    return 1 if report.failed else 0


def run_steps(lab: Lab) -> None:
    """The whole story, in the order in which it happens."""
    lab.folder.mkdir()
    (lab.folder / "etl.toml").write_text(
        CONFIG.format(base_url=lab.airflow.base_url, lookback_s=LOOKBACK_S)
    )
    holds = Holds(*(lab.folder / f"go-{name}" for name in ("long", "cleared", "mapped")))
    holds.cleared.touch()
    workload.make_runs(lab.airflow, holds)
    check_workload(lab)
    forget_stamps(lab.airflow)
    # One second more than is read again: the server's Date has whole seconds only.
    workload.wait_for_quiet(lab.airflow, LOOKBACK_S + 1, workload.OPEN_RUNS)

    lab.check_etl("the first sync ends well", "sync")
    check_first(lab)

    holds.long.touch()
    holds.mapped.touch()
    workload.wait_for_all(lab.airflow)
    holds.cleared.unlink()
    workload.clear(lab.airflow, WORK, "cleared")
    workload.wait_for_state(lab.airflow, WORK, "cleared", ("running",))
    lab.check_etl("the second sync ends well", "sync")
    check_second(lab)

    holds.cleared.touch()
    workload.wait_for_all(lab.airflow)
    lab.check_etl("the third sync ends well", "sync")
    check_third(lab)

    lab.check_etl("a sync with nothing new ends well", "sync")
    check_nothing_new(lab)
    check_single(lab)
    check_refusal(lab)
    check_safety(lab)
    lab.check_etl("the store's own check finds no fault", "check")


def forget_stamps(airflow: Airflow) -> None:
    """Leave a few runs without `updated_at`, as releases before 2.4 wrote them."""
    names = ", ".join(f"'{name}'" for name in UNSTAMPED)
    with sqlite3.connect(airflow.home / "airflow.db", timeout=30) as database:
        for table in ("dag_run", "task_instance"):
            database.execute(f"UPDATE {table} SET updated_at = NULL WHERE run_id IN ({names})")
    database.close()


def check_workload(lab: Lab) -> None:
    """What Airflow has to show is what the test is about."""
    states = [(run["dag_id"], run["state"]) for run in read_api(lab.airflow, RUNS).values()]
    problems = [
        *expect(QUICK_RUNS, states.count((QUICK, "success"))),
        *expect(FAILING_RUNS + 1, states.count((WORK, "failed"))),
        *expect(1, states.count((WORK, "running"))),
        *expect(1, states.count((MAPPED, "running"))),
        *expect(1, states.count((MAPPED, "failed"))),
    ]
    lab.report.check(f"Airflow made {len(states)} runs, failing, long and mapped ones", problems)


def check_first(lab: Lab) -> None:
    lab.check_same("first sync")
    lab.report.check(
        "the long run is stored as running",
        expect(
            ("running", None), (lab.read_run("long")["state"], lab.read_run("long")["end_date"])
        ),
    )
    lab.report.check(
        "a mapped task is stored before it has parts",
        expect(
            [("handle", -1, None), ("list_parts", -1, "running")],
            sorted(
                (t["task_id"], t["map_index"], t["state"]) for t in lab.read_tasks("mapped-late")
            ),
        ),
    )
    stamped = lab.airflow.get(RUNS.path + "?limit=0&updated_at_gte=1970-01-01T00:00:00Z")
    unstamped = len(read_api(lab.airflow, RUNS)) - stamped["total_entries"]
    lab.report.check(
        "runs that no filter on updated_at finds are stored",
        expect((len(UNSTAMPED), "success"), (unstamped, lab.read_run(UNSTAMPED[0])["state"])),
    )
    lab.report.check("the ledger is one interval per stream", find_holes(lab.store))


def find_holes(store: Path) -> list[str]:
    rows = query(
        store,
        "SELECT stream, count(*), min(epoch_us(since)) FROM etl.coverage GROUP BY ALL ORDER BY ALL",
    )
    return expect([("dag_runs", 1, 0), ("task_instances", 1, 0)], rows)


def check_second(lab: Lab) -> None:
    lab.check_same("second sync")
    long, cleared = lab.read_run("long"), lab.read_run("cleared")
    lab.report.check("the long run has ended", expect("success", long["state"]))
    lab.report.check(
        "the cleared run is open again under its id",
        expect(
            ("running", None, None), tuple(cleared[n] for n in ("state", "end_date", "duration_s"))
        ),
    )
    parts = sorted(
        (t["map_index"], t["state"])
        for t in lab.read_tasks("mapped-late")
        if t["task_id"] == "handle" and t["map_index"] >= 0
    )
    lab.report.check(
        "the mapped task has its parts", expect([(0, "success"), (1, "success")], parts)
    )
    read = query(
        lab.store,
        "SELECT rows_new + rows_changed + rows_unchanged FROM etl.runs "
        "WHERE stream = 'dag_runs' ORDER BY started_at DESC LIMIT 1",
    )[0][0]
    lab.report.check("the second sync read the three runs that changed", expect(3, read))


def check_third(lab: Lab) -> None:
    lab.check_same("third sync")
    run = lab.read_run("cleared")
    work = next(t for t in lab.read_tasks("cleared") if t["task_id"] == "work")
    lab.report.check(
        "the cleared run has failed again, in its second try",
        expect(("failed", True, 2), (run["state"], run["duration_s"] > 0, work["try_number"])),
    )
    lab.report.check("the ledger is still one interval per stream", find_holes(lab.store))
    states = Counter(run["state"] for run in read_api(lab.airflow, RUNS).values())
    outcomes = query(lab.store, "SELECT outcome, count(*) FROM executions GROUP BY 1 ORDER BY 1")
    lab.report.check(
        "the view of executions counts what the API counts",
        expect([("failure", states["failed"]), ("success", states["success"])], outcomes),
    )


def check_nothing_new(lab: Lab) -> None:
    rows = query(
        lab.store,
        "SELECT stream, rows_new, rows_changed, rows_quarantined, state FROM etl.runs "
        "WHERE run_id = (SELECT run_id FROM etl.runs ORDER BY started_at DESC LIMIT 1) ORDER BY 1",
    )
    expected = [(stream, 0, 0, 0, "done") for stream in ("dag_runs", "task_instances")]
    lab.report.check("a sync with nothing new changes no row", expect(expected, rows))


def check_single(lab: Lab) -> None:
    """A note does not move `updated_at`: only reading the run by its id brings it."""
    workload.set_note(lab.airflow, WORK, "cleared", "seen by hand")
    lab.check_etl("a single run is fetched", "fetch", "live", f"{WORK}/cleared")
    lab.report.check(
        "the fetched run has its new note", expect("seen by hand", lab.read_run("cleared")["note"])
    )


def check_refusal(lab: Lab) -> None:
    before = read_store(lab.store, RUNS)
    done = lab.run_etl("sync", token="not-a-token")
    problems = expect(3, done.returncode, done.stderr)
    problems += [line for line in done.stderr.splitlines() if "HTTP 403: Invalid JWT" not in line]
    lab.report.check("a refused token is exit code 3 and says why", problems)
    lab.report.check("and changes nothing", expect(before, read_store(lab.store, RUNS)))


def check_safety(lab: Lab) -> None:
    """Neither a secret of a run's conf nor the API token is in any file the program wrote."""
    found = [
        f"{path.name} contains {what}"
        for path in sorted(lab.folder.iterdir())
        for what, secret in (("a secret", SECRET), ("the token", lab.airflow.token))
        if secret.encode() in path.read_bytes()
    ]
    lab.report.check("no secret and no token is on disk", found)
    prints = {
        row["conf"] for row in read_store(lab.store, RUNS) if "api_key" in (row["conf"] or "")
    }
    problems = [] if len(prints) == FAILING_RUNS else [f"found {sorted(prints)}"]
    lab.report.check("each run that had one holds its fingerprint", problems)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).resolve()))
