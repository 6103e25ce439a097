"""A real `etl sync` process is killed again and again; what it has committed is never lost."""

import os
import random
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from etl.demo.faults import Faults
from etl.demo.server import DemoServer, DemoSettings, start_server

KILLS = 20
PAGES = 100
PAGE_SIZE = 20
PAGES_PER_COMMIT = 4
PAGES_BEFORE_KILL = [*range(1, 13), *range(1, 13)]
LATENCY_S = 0.01
POLL_S = 0.03
PATIENCE_S = 60.0
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
END = datetime.now(UTC) - timedelta(hours=1)

Process = subprocess.Popen[str]


@dataclass(slots=True)
class Gate:
    """What each request passes: it wakes whoever waits for one, and may be held back.

    Requests are let through while the store holds all pages but those of one commit. So how much
    is lost depends on what the sync commits, not on how fast this machine is.
    """

    arrived: threading.Condition = field(default_factory=threading.Condition)
    is_open: threading.Event = field(default_factory=threading.Event)
    scene: "Scene | None" = None
    pages_before: int = 0
    committed_before: int = 0
    committed: int = 0
    changed_ns: int = 0

    def pass_through(self, latency_s: float) -> None:
        """The server's sleep: it is called once for each request."""
        with self.arrived:
            self.arrived.notify_all()
        time.sleep(latency_s)
        while not self.is_open.is_set() and not self._may_pass():
            time.sleep(POLL_S)

    def _may_pass(self) -> bool:
        assert self.scene is not None
        answered = self.scene.count_pages() - self.pages_before - 1
        needed = answered // PAGES_PER_COMMIT * PAGES_PER_COMMIT
        changed_ns = self.scene.read_change_ns()
        if needed and changed_ns != self.changed_ns:
            try:
                self.committed, self.changed_ns = self.scene.count_committed(), changed_ns
            except duckdb.IOException:
                return False  # A batch is being committed right now.
        return self.committed - self.committed_before >= needed


@dataclass(frozen=True, slots=True)
class Scene:
    """A server with a history that no longer grows, and a folder with a configuration for it."""

    server: DemoServer
    gate: Gate
    folder: Path

    @contextmanager
    def running_sync(self) -> Iterator[Process]:
        """A sync in the background; it does not outlive the block."""
        process = subprocess.Popen(
            [sys.executable, "-m", "etl", "sync"],
            cwd=self.folder,
            env={**os.environ, "DEMO_TOKEN": self.server.settings.token},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            yield process
        finally:
            process.kill()
            process.communicate(timeout=PATIENCE_S)

    def finish_sync(self) -> None:
        """One run that nobody disturbs."""
        self.gate.is_open.set()
        with self.running_sync() as process:
            _, said = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 0, said

    def count_pages(self) -> int:
        """Pages asked for so far. The few records that are read one by one are not counted."""
        return self.server.requests["riza.list"]

    def wait_for_pages(self, count: int, process: Process) -> None:
        """Until so many pages have been asked for; the process must not end before."""
        with self.gate.arrived:
            while self.count_pages() < count and process.poll() is None:
                self.gate.arrived.wait(PATIENCE_S / 100)
        if self.count_pages() < count:
            raise AssertionError(f"exit {process.returncode}: {process.communicate()[1]}")

    def count_committed(self) -> int:
        """Pages in the store."""
        if not self.store.exists():
            return 0
        return int(str(self.query("SELECT coalesce(sum(pages), 0) FROM etl.runs")[0][0]))

    def read_change_ns(self) -> int:
        """When the store or its log was last written to."""
        changed_ns = 0
        for path in (self.store, self.store.with_name(self.store.name + ".wal")):
            with suppress(FileNotFoundError):
                changed_ns = max(changed_ns, path.stat().st_mtime_ns)
        return changed_ns

    @property
    def store(self) -> Path:
        return self.folder / "executions.duckdb"

    def query(self, sql: str) -> list[tuple[object, ...]]:
        with duckdb.connect(str(self.store), read_only=True) as connection:
            return connection.execute(sql).fetchall()

    def read_rows(self) -> list[tuple[object, ...]]:
        return self.query(
            "SELECT id, epoch_us(started_at), language, duration_ms, exit_code, type "
            "FROM riza.executions ORDER BY id"
        )

    def expect_rows(self) -> list[tuple[object, ...]]:
        """The same out of the history behind the API."""
        api = self.server.riza
        records = [api.history.execution(index) for index in api.visible(datetime.now(UTC))]
        return sorted(
            (
                record["id"],
                (datetime.fromisoformat(record["started_at"]) - EPOCH) // timedelta(microseconds=1),
                record["language"],
                record["duration"],
                record["exit_code"],
                record["details"]["type"],
            )
            for record in records
        )


@contextmanager
def open_scene(folder: Path, batch_rows: int) -> Iterator[Scene]:
    gate = Gate()
    settings = DemoSettings(
        platforms=("riza",),
        executions=PAGES * PAGE_SIZE,
        end=END,
        faults=Faults(latency_ms=LATENCY_S * 1_000),
    )
    with start_server(settings, now=lambda: datetime.now(UTC), sleep=gate.pass_through) as server:
        (folder / "etl.toml").write_text(
            f"""
            [sync]
            batch_rows = {batch_rows}
            batch_seconds = 60

            [sources.interpreter]
            kind = "riza"
            base_url = "{server.base_url}/riza"
            token_env = "DEMO_TOKEN"
            page_size = {PAGE_SIZE}
            """
        )
        gate.scene = Scene(server, gate, folder)
        try:
            yield gate.scene
        finally:
            gate.is_open.set()


def kill_after(scene: Scene, pages: int, delay_s: float) -> None:
    """Start a sync and kill it some pages and a moment later."""
    scene.gate.pages_before = scene.count_pages()
    scene.gate.committed_before = scene.gate.committed = scene.count_committed()
    with scene.running_sync() as process:
        scene.wait_for_pages(scene.gate.pages_before + pages, process)
        time.sleep(delay_s)
        process.kill()
        process.communicate(timeout=PATIENCE_S)
    assert process.returncode == -signal.SIGKILL, "the backfill was over too soon"


def test_a_backfill_killed_at_random_moments_loses_and_repeats_next_to_nothing(
    tmp_path: Path,
) -> None:
    """Were nothing kept, the first requests of all the killed runs alone would break the bound."""
    seed = int(os.environ.get("KILL_SEED") or secrets.randbits(32))
    sys.stdout.write(f"KILL_SEED={seed}\n")
    rng = random.Random(seed)
    with open_scene(tmp_path, PAGE_SIZE * PAGES_PER_COMMIT) as scene:
        for pages in rng.sample(PAGES_BEFORE_KILL, KILLS):
            kill_after(scene, pages, rng.uniform(0, 3 * LATENCY_S))
        scene.finish_sync()

        requests = scene.count_pages()
        sys.stdout.write(f"{requests} requests for {PAGES} pages and {KILLS} kills\n")
        rows = scene.read_rows()
        assert rows == scene.expect_rows()
        assert len({row[0] for row in rows}) == len(rows) == PAGES * PAGE_SIZE
        assert requests <= PAGES + KILLS * (PAGES_PER_COMMIT + 1)
        scene.finish_sync()
        assert scene.count_pages() - requests <= 2


@pytest.mark.parametrize(
    ("number", "exit_code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)], ids=["TERM", "INT"]
)
def test_a_sync_that_is_asked_to_stop_commits_what_it_has(
    number: signal.Signals, exit_code: int, tmp_path: Path
) -> None:
    """The batch would last for the whole history, so it is the signal that makes it commit."""
    with open_scene(tmp_path, 2 * PAGES * PAGE_SIZE) as scene:
        scene.gate.is_open.set()
        with scene.running_sync() as process:
            scene.wait_for_pages(10, process)
            answered = scene.count_pages() - 1
            process.send_signal(number)
            _, said = process.communicate(timeout=PATIENCE_S)

        assert process.returncode == exit_code, said
        assert "Traceback" not in said
        stored = len(scene.read_rows())
        assert answered * PAGE_SIZE <= stored < PAGES * PAGE_SIZE

        asked_before = scene.count_pages()
        scene.finish_sync()

        assert scene.read_rows() == scene.expect_rows()
        pages_left = PAGES - stored // PAGE_SIZE
        assert scene.count_pages() - asked_before <= pages_left + 3
