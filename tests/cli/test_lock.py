"""One sync per store: the second one is refused, and a dead one is no obstacle."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from click.testing import Result

from etl.cli.lock import hold_lock
from etl.errors import AlreadyRunning, StoreError
from tests.cli.stage import CONFIG, NOW, Stage

PATIENCE_S = 60.0


class SilentServer(ThreadingHTTPServer):
    """Takes a request and does not answer it before `is_over`."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), SilentHandler)
        self.asked = threading.Event()
        self.is_over = threading.Event()


class SilentHandler(BaseHTTPRequestHandler):
    server: SilentServer

    def do_GET(self) -> None:
        self.server.asked.set()
        self.server.is_over.wait(PATIENCE_S)


@contextmanager
def running_sync(stage: Stage) -> Iterator["subprocess.Popen[str]"]:
    """A sync of another process, in the middle of its first request."""
    with SilentServer() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        stage.configure(CONFIG.replace("riza.test", f"127.0.0.1:{server.server_port}"))
        process = subprocess.Popen(
            [sys.executable, "-m", "etl", "sync"],
            cwd=stage.folder,
            env={**os.environ, **stage.environ},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            assert server.asked.wait(PATIENCE_S)
            yield process
        finally:
            process.kill()
            process.communicate(timeout=PATIENCE_S)
            server.is_over.set()
            server.shutdown()
            thread.join()


def refuse_second(stage: Stage) -> Result:
    stage.configure(CONFIG)
    return stage.run("sync")


def test_a_second_sync_is_refused_and_told_who_holds_the_lock(stage: Stage) -> None:
    with running_sync(stage) as first:
        result = refuse_second(stage)

        assert (result.exit_code, result.stdout, result.stderr) == (
            5,
            "",
            f"etl: error: {stage.store}: another sync of this store is running "
            f"(process {first.pid})\n",
        )


def test_reading_goes_on_while_a_sync_runs(stage: Stage) -> None:
    with running_sync(stage):
        results = [stage.run(*words) for words in (("status",), ("query", "FROM etl.runs"))]

    assert [result.exit_code for result in results] == [0, 0]


def test_a_killed_sync_leaves_no_lock_behind_and_is_marked_interrupted(stage: Stage) -> None:
    with running_sync(stage) as first:
        first.kill()
        first.wait(PATIENCE_S)
        (stage.folder / "etl.toml").write_text(CONFIG)
        result = stage.run("sync")

    assert (result.exit_code, result.stderr) == (0, "")
    assert stage.list_ids() == ["exec0001", "exec0002", "exec0003"]


def test_the_lock_file_explains_itself_while_it_is_held(tmp_path: Path) -> None:
    lock = tmp_path / "runs.duckdb.lock"

    with hold_lock(tmp_path / "runs.duckdb", NOW):
        held = lock.read_text()

    assert held == (
        f"{os.getpid()}\nThis process syncs runs.duckdb since 2026-01-02 00:00:00 UTC. "
        "The lock ends with it; the file may stay.\n"
    )
    assert lock.read_text() == ""


@pytest.mark.parametrize("left_behind", ["", "999999999\n", "not a number\n", "-1\n"])
def test_whatever_a_lock_file_says_only_the_lock_itself_counts(
    tmp_path: Path, left_behind: str
) -> None:
    (tmp_path / "runs.duckdb.lock").write_text(left_behind)

    with hold_lock(tmp_path / "runs.duckdb", NOW):
        pass


def test_a_lock_in_a_folder_that_cannot_be_made_is_a_store_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with (
        pytest.raises(StoreError, match="cannot lock the store"),
        hold_lock(tmp_path / "file" / "runs.duckdb", NOW),
    ):
        pass


def test_the_same_process_cannot_hold_a_lock_twice(tmp_path: Path) -> None:
    store = tmp_path / "runs.duckdb"

    with (
        hold_lock(store, datetime.now(UTC)),
        pytest.raises(AlreadyRunning, match=rf"\(process {os.getpid()}\)"),
        hold_lock(store, datetime.now(UTC)),
    ):
        pass
