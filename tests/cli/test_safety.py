"""The key of the fingerprints, unredacted payloads, and records that nobody understands."""

import json
import secrets
import sys
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from rich.console import Console

from etl.cli import render
from etl.decode import Decoded
from etl.sync import replay
from tests.cli.stage import CONFIG, RizaApi, Stage, make_record


def lose(key: Path) -> None:
    key.unlink()


def exchange(key: Path) -> None:
    key.write_text(secrets.token_hex(32))


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (lose, "the key of this store is missing; put it back from a copy"),
        (exchange, "this store was written with another key"),
    ],
)
@pytest.mark.parametrize("command", ["sync", "check"])
def test_a_lost_or_exchanged_key_is_explained_and_the_store_left_alone(
    stage: Stage, harm: Callable[[Path], None], said: str, command: str
) -> None:
    stage.run("sync")
    before = stage.store.read_bytes()
    harm(stage.store.with_name("executions.duckdb.key"))

    result = stage.but(handler=RizaApi([make_record(9)])).run(command)

    assert result.exit_code == 2
    assert said in " ".join(result.output.split())
    assert stage.store.read_bytes() == before


@pytest.mark.parametrize("policy", ["full", "none"])
def test_status_and_check_show_how_payloads_are_kept(stage: Stage, policy: str) -> None:
    stage.configure(f'{CONFIG}payloads = "{policy}"\n')
    stage.run("sync")

    assert f"payloads {policy}" in stage.run("check").stdout
    assert f" {policy} " in stage.run("status").stdout


def test_what_was_stored_in_clear_is_found_after_full_was_taken_back(stage: Stage) -> None:
    stage.configure(f'{CONFIG}payloads = "full"\n')
    stage.run("sync")
    assert "unredacted" not in stage.run("check").stdout
    stage.configure(CONFIG)

    found = stage.run("check").stdout
    stage.run("sync", "--full")

    assert '3 secrets in it unredacted, from when payloads was "full"' in found
    assert "unredacted" not in stage.run("check").stdout


def test_a_page_that_is_no_json_is_tried_again_and_no_coverage(stage: Stage) -> None:
    """What came before it is kept, and the next run goes on there."""
    stage.configure(CONFIG + "page_size = 2\n")
    api = RizaApi([make_record(number) for number in (1, 2, 3)])
    pages = 0

    def answer(request: httpx.Request) -> httpx.Response:
        nonlocal pages
        if request.url.params.get("starting_after"):
            pages += 1
            return httpx.Response(200, text="<html>maintenance</html>")
        return api(request)

    failed = stage.but(handler=answer).run("sync")
    covered = stage.query("SELECT count(*) FROM etl.coverage WHERE since < '2026-01-01 00:02:00Z'")
    stored = stage.list_ids()
    repaired = stage.run("sync")

    assert failed.exit_code == 4
    assert "HTML, not JSON" in failed.stderr
    assert pages > 1
    assert (covered, stored) == ([(0,)], ["exec0002", "exec0003"])
    assert repaired.exit_code == 0
    assert stage.list_ids() == ["exec0001", "exec0002", "exec0003"]


@pytest.fixture
def troubled(stage: Stage) -> Stage:
    """A stage with one record of three set aside."""
    records = [make_record(1), make_record(2, duration="long"), make_record(3)]
    troubled = stage.but(handler=RizaApi(records))
    assert troubled.run("sync").exit_code == 0
    return troubled


def test_what_was_set_aside_is_listed_without_its_secrets(troubled: Stage) -> None:
    listed = troubled.run("quarantine", "interpreter").stdout
    elsewhere = troubled.run("quarantine", "interpretr")

    assert "$.duration" in listed
    assert "Expected `int | null`, got `str`" in listed
    assert "hunter2" not in listed
    assert (elsewhere.exit_code, elsewhere.stdout) == (2, "")
    assert 'there is no source "interpretr"; did you mean "interpreter"?' in elsewhere.stderr
    [(record,)] = troubled.query("SELECT record FROM etl.quarantine")
    assert "hunter2" not in record
    assert '"API_KEY": "hmac:' in record.replace('":"', '": "')


def test_on_a_terminal_place_and_reason_of_each_record_are_whole(
    troubled: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(render, "open_console", lambda: Console(file=sys.stdout, width=80))

    lines = troubled.run("quarantine").stdout.splitlines()

    assert lines[0].split() == ["source", "stream", "since", "path", "error"]
    rest = "".join(lines[2:]).replace(" ", "")
    assert "$.duration" in rest
    assert "got`str`" in rest
    assert "…" not in rest


def test_as_json_the_records_are_there_as_they_were_kept(troubled: Stage) -> None:
    [row] = json.loads(troubled.run("quarantine", "--json").stdout)

    columns = troubled.query("SELECT column_name FROM (DESCRIBE etl.quarantine)")
    assert list(row) == [name for (name,) in columns]
    assert (row["path"], row["quarantined_at"]) == ("$.duration", "2026-01-02 00:00:00+00")
    assert row["record"]["id"] == "exec0002"
    assert row["record"]["duration"] == "long"


def test_an_empty_quarantine_is_said_to_whoever_looks(stage: Stage) -> None:
    silent, verbose = stage.run("quarantine"), stage.run("quarantine", "-v")

    assert (silent.exit_code, silent.output) == (0, "")
    assert (verbose.stdout, verbose.stderr) == ("", "nothing is in quarantine\n")
    assert stage.run("quarantine", "--json").stdout == "[]\n"


def test_a_source_that_was_never_synced_can_be_replayed_and_not_listed(stage: Stage) -> None:
    replayed = stage.run("quarantine", "interpreter", "--replay", "-v")
    listed = stage.run("quarantine", "interpreter")
    unknown = stage.run("quarantine", "nothing", "--replay")

    assert replayed.exit_code == 0
    assert "interpreter: 0 records understood now" in replayed.stderr
    assert "there is no source" in listed.stderr
    assert (listed.exit_code, unknown.exit_code) == (2, 2)


def test_after_an_upgrade_what_was_set_aside_is_stored_without_the_api(
    troubled: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The upgrade: durations may be words."""

    def understand(raws: list[bytes], record_type: type) -> Decoded[object]:
        return decode([bytes(raw).replace(b'"long"', b"5") for raw in raws], record_type)

    decode = replay.decode_records
    silent = troubled.but(handler=RizaApi([]))
    assert "0 records understood now" in silent.run("quarantine", "--replay", "-v").stderr
    monkeypatch.setattr(replay, "decode_records", understand)

    result = silent.run("quarantine", "--replay", "-v")

    assert "interpreter: 1 record understood now" in result.stderr
    assert silent.list_ids() == ["exec0001", "exec0002", "exec0003"]
    assert silent.query("SELECT count(*) FROM etl.quarantine") == [(0,)]
    marks = silent.query("SELECT DISTINCT value FROM riza.env")
    assert len(marks) == 1
    assert silent.handler.requests == []
