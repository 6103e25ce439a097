"""Readers that come one after the other do not keep a writer out."""

import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from etl.budget import Budget, start_budget
from etl.errors import StoreError
from etl.store.connect import open_reader, open_writer
from etl.store.turns import claim_turn, may_begin, open_folder
from tests.store.test_connect import hold, make_store, read

NEVER = start_budget(None)


class Pauses(Budget):
    """A budget that does something in place of each pause."""

    __slots__ = ("count", "on_pause")
    count: list[int]
    on_pause: Callable[[int], None]

    def __init__(self, on_pause: Callable[[int], None]) -> None:
        super().__init__()
        object.__setattr__(self, "count", [])
        object.__setattr__(self, "on_pause", on_pause)

    def pause(self, seconds: float) -> None:
        self.count.append(1)
        self.on_pause(len(self.count))


def is_open(path: Path) -> bool:
    with open_folder(path) as folder:
        return may_begin(folder)


def test_a_reader_begins_after_a_writer_that_was_there_before(tmp_path: Path) -> None:
    """A reader is in, a writer waits, a second reader comes: the writer is next."""
    path = make_store(tmp_path / "s.duckdb", rows=1)
    begun: list[str] = []
    has_come, is_written = threading.Event(), threading.Event()

    def stand_by(pauses: int) -> None:
        has_come.set()
        is_written.wait()

    def read_later() -> None:
        try:
            with open_reader(path, Pauses(stand_by)) as connection:
                begun.append(f"reader of {read(connection, 'SELECT count(*) FROM t')[0][0]}")
        finally:
            has_come.set()

    second = threading.Thread(target=read_later)
    with hold(path, "reader") as first:

        def let_second_come(pauses: int) -> None:
            if pauses == 1:
                second.start()
                has_come.wait()
                os.kill(first, signal.SIGKILL)

        with open_writer(path, Pauses(let_second_come), wait_s=60.0) as connection:
            begun.append("writer")
            connection.execute("INSERT INTO t VALUES (9, 'x')")
        is_written.set()
        second.join()

    assert begun == ["writer", "reader of 2"]


def test_who_has_waited_in_vain_gives_the_turn_back(tmp_path: Path) -> None:
    path = make_store(tmp_path / "s.duckdb")
    turns = []

    with (
        hold(path, "reader"),
        pytest.raises(StoreError, match="locked by process"),
        open_writer(path, Pauses(lambda pauses: turns.append(is_open(path))), wait_s=0.2),
    ):
        pass

    assert turns == [False] * 4
    assert is_open(path)


def test_a_writer_that_is_in_keeps_no_turn(tmp_path: Path) -> None:
    path = make_store(tmp_path / "s.duckdb")

    with open_writer(path, NEVER):
        assert is_open(path)


def test_a_reader_does_not_wait_for_ever_for_a_writer_that_does_not_come(tmp_path: Path) -> None:
    path = make_store(tmp_path / "s.duckdb")
    budget = Pauses(lambda pauses: None)

    with open_folder(path) as folder:
        assert claim_turn(folder)
        with open_reader(path, budget, wait_s=0.2) as connection:
            assert read(connection, "SELECT count(*) FROM t") == [(1_000,)]

    assert len(budget.count) == 4


def test_of_two_writers_one_has_the_turn(tmp_path: Path) -> None:
    with open_folder(tmp_path / "s.duckdb") as one, open_folder(tmp_path / "s.duckdb") as other:
        assert [claim_turn(one), claim_turn(other), claim_turn(one)] == [True, False, True]
        assert not may_begin(other)


def test_where_folders_cannot_be_locked_everybody_goes_on(tmp_path: Path) -> None:
    with open_folder(tmp_path / "nowhere" / "s.duckdb") as folder:
        assert folder == -1
        assert claim_turn(folder)
        assert may_begin(folder)
