"""`etl prune`: it says what would go, does it when told to, and no sync brings it back."""

import json
from datetime import timedelta
from typing import Any

import pytest

from etl.cli import prune as pruning
from etl.cli.lock import hold_lock
from tests.cli.stage import NOW, START, RizaApi, Stage, make_record

DAY = 24 * 60
OLD = [-400 * DAY, -100 * DAY]
RECENT = [-10 * DAY, -5]
PAYLOADS = "SELECT id, code IS NOT NULL, stdout IS NOT NULL FROM riza.executions ORDER BY id"


def make_records(minutes: list[int], **changes: Any) -> list[Any]:
    """One execution per time, in minutes from START; ids count up with them."""
    return [
        make_record(0, id=f"exec{place}", started_at=to_text(minute), **changes)
        for place, minute in enumerate(sorted(minutes))
    ]


def to_text(minute: int) -> str:
    return (START + timedelta(minutes=minute)).isoformat()


@pytest.fixture
def aged(stage: Stage) -> Stage:
    """Four executions: 400, 100 and 10 days old, and one of just now."""
    aged = stage.but(handler=RizaApi(make_records([*OLD, *RECENT])))
    assert aged.run("sync").exit_code == 0
    return aged


def ask_riza(stage: Stage) -> list[str]:
    """The requests of a sync that is well."""
    assert isinstance(stage.handler, RizaApi)
    before = len(stage.handler.requests)
    result = stage.run("sync")
    assert (result.exit_code, result.output) == (0, "")
    return stage.handler.requests[before:]


def test_without_yes_it_shows_what_would_go_and_does_nothing(aged: Stage) -> None:
    before = aged.store.read_bytes()

    result = aged.run("prune", "--payloads-older-than", "90d", "--executions-older-than", "1y")

    assert result.exit_code == 0
    lines = [line.split() for line in result.stdout.splitlines() if "interpreter" in line]
    assert lines == [
        ["executions", "interpreter", "executions", "1", *shown(-400), *shown(-400)],
        ["payloads", "interpreter", "executions", "1", *shown(-100), *shown(-100)],
    ]
    assert result.stderr == "etl: warning: nothing was pruned; --yes does it\n"
    assert aged.store.read_bytes() == before


def shown(days: int) -> list[str]:
    return f"{START + timedelta(days=days):%Y-%m-%d %H:%M:%S}".split()


@pytest.mark.parametrize(("answer", "count"), [("y\n", 3), ("n\n", 4), ("\n", 4)])
def test_on_a_terminal_it_asks(
    aged: Stage, monkeypatch: pytest.MonkeyPatch, answer: str, count: int
) -> None:
    monkeypatch.setattr(pruning, "is_answerable", lambda: True)

    aged.run("prune", "--executions-older-than", "1y", said=answer)

    assert len(aged.list_ids()) == count


def test_with_yes_and_nobody_looking_it_is_silent(aged: Stage) -> None:
    result = aged.run("prune", "--payloads-older-than", "90d", "--yes")

    assert (result.exit_code, result.output) == (0, "")
    assert aged.query(PAYLOADS) == [
        ("exec0", False, False),
        ("exec1", False, False),
        ("exec2", True, True),
        ("exec3", True, True),
    ]


def test_verbose_says_what_was_done(aged: Stage) -> None:
    result = aged.run("-v", "prune", "--payloads-older-than", "90d", "--yes")
    again = aged.run("-v", "prune", "--payloads-older-than", "90d", "--yes")

    assert "2 rows pruned" in result.stderr
    assert again.stderr == "nothing is that old\n"


def test_for_machines_the_number_of_rows_stands_by_itself(aged: Stage) -> None:
    result = aged.run(
        "prune", "-v", "--log-format", "json", "--executions-older-than", "1y", "--yes"
    )

    [line] = [json.loads(line) for line in result.stderr.splitlines()]
    assert (line["removed"], line["message"]) == (1, "1 row pruned; etl compact frees room")


def test_a_pruned_payload_that_is_read_again_stays_pruned(aged: Stage) -> None:
    aged.run("prune", "--payloads-older-than", "90d", "--yes")
    pruned = aged.query("SELECT row::VARCHAR FROM riza.executions AS row ORDER BY ALL")

    result = aged.run("-v", "sync", "--full")

    assert "0 new, 0 changed, 4 unchanged" in result.stderr
    assert aged.query("SELECT row::VARCHAR FROM riza.executions AS row ORDER BY ALL") == pruned


def test_a_record_that_changed_after_it_was_pruned_is_a_new_one(aged: Stage) -> None:
    """It comes with its payload, and goes with the next prune."""
    aged.run("prune", "--payloads-older-than", "90d", "--yes")
    changed = aged.but(handler=RizaApi(make_records([*OLD, *RECENT], duration=7)))

    assert changed.run("sync", "--full").exit_code == 0
    assert changed.query(PAYLOADS)[0] == ("exec0", True, True)
    changed.run("prune", "--payloads-older-than", "90d", "--yes")

    assert changed.query(PAYLOADS)[0] == ("exec0", False, False)
    assert changed.query("SELECT DISTINCT duration_ms FROM executions") == [(7,)]


def test_pruned_executions_are_known_and_not_fetched_again(aged: Stage) -> None:
    coverage = aged.query("SELECT since::VARCHAR, until::VARCHAR FROM etl.coverage")

    assert aged.run("prune", "--executions-older-than", "1y", "--yes").exit_code == 0

    assert aged.list_ids() == ["exec1", "exec2", "exec3"]
    assert aged.query("SELECT since::VARCHAR, until::VARCHAR FROM etl.coverage") == coverage
    assert len(ask_riza(aged)) == 1
    assert aged.run("sync", "--full").exit_code == 0
    assert aged.list_ids() == ["exec1", "exec2", "exec3"]
    status = aged.run("status").stdout
    assert "done" in status
    assert '"gaps": []' in aged.run("status", "--json").stdout
    assert aged.run("check").exit_code == 0


def test_a_backfill_ends_where_executions_were_pruned(stage: Stage) -> None:
    """Nobody who drops what is older than a year wants the years before it to be fetched."""
    minutes = [-1_000 * DAY + hour * 60 for hour in range(300)] + [*OLD, *RECENT]
    api = RizaApi(make_records(minutes))
    begun = stage.but(handler=api)
    assert begun.run("sync", "--max-pages", "1").exit_code == 0
    assert len(begun.list_ids()) == 100

    begun.run("prune", "--executions-older-than", "1y", "--yes")
    requests = [*ask_riza(begun), *ask_riza(begun)]

    assert len(begun.list_ids()) == 3
    assert len(requests) <= 3
    plan = begun.run("sync", "--plan", "--json").stdout
    assert "1970" not in plan


def test_an_execution_that_is_fetched_by_name_comes_back(aged: Stage) -> None:
    aged.run("prune", "--executions-older-than", "1y", "--yes")

    assert aged.run("fetch", "interpreter", "exec0").exit_code == 0

    assert aged.list_ids() == ["exec0", "exec1", "exec2", "exec3"]


def test_what_each_sync_reads_again_cannot_be_pruned(aged: Stage) -> None:
    result = aged.run("prune", "--executions-older-than", "5m", "--yes")

    assert result.exit_code == 2
    assert "interpreter/executions: each sync reads again" in result.stderr
    assert len(aged.list_ids()) == 4


def test_payloads_can_be_pruned_as_soon_as_they_are_there(aged: Stage) -> None:
    assert aged.run("prune", "--payloads-older-than", "0s", "--yes").exit_code == 0
    assert len(ask_riza(aged)) == 1

    assert {row[1:] for row in aged.query(PAYLOADS)} == {(False, False)}


def test_two_horizons_are_two_questions(aged: Stage) -> None:
    aged.run("prune", "--executions-older-than", "1y", "--payloads-older-than", "30d", "--yes")

    assert aged.query(PAYLOADS) == [
        ("exec1", False, False),
        ("exec2", True, True),
        ("exec3", True, True),
    ]


def test_a_running_sync_keeps_it_away(aged: Stage) -> None:
    with hold_lock(aged.store, NOW):
        assert aged.run("prune", "--executions-older-than", "1y", "--yes").exit_code == 5

    assert len(aged.list_ids()) == 4


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "say what"),
        (("--payloads-older-than", "old"), "not a duration"),
        (("--executions-older-than", "-1d"), "not a duration"),
        (("--executions-older-than", "9999y"), '"9999y" ago was before all time'),
        (("--payloads-older-than", "9999y"), '"9999y" ago was before all time'),
    ],
)
def test_what_cannot_be_pruned_is_one_line(aged: Stage, words: tuple[str, ...], said: str) -> None:
    result = aged.run("prune", *words, "--yes")

    assert result.exit_code == 2
    assert said in result.stderr
    assert result.stderr.count("\n") == 1


def test_without_a_store_there_is_nothing_to_prune(bare: Stage) -> None:
    result = bare.run("prune", "--payloads-older-than", "1d", "--yes")

    assert result.exit_code == 6
    assert "run: etl sync" in result.stderr
