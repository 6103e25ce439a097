"""`etl check` fails where a sync would."""

import os
from pathlib import Path

import pytest

from tests.cli.stage import CONFIG, TOKEN, Stage


def make_access(*refused: Path) -> object:
    """What the operating system says of rights to whom it refuses to write some files."""
    really = os.access

    def access(path: Path, mode: int) -> bool:
        return really(path, mode) and (mode == os.F_OK or path not in refused)

    return access


def test_an_address_to_ping_that_is_not_set(stage: Stage) -> None:
    stage.configure('[notify]\nping_url_env = "PING"\n' + CONFIG)

    checked, synced = stage.run("check"), stage.run("sync")
    ready = stage.but(environ={"RIZA_API_KEY": TOKEN, "PING": "https://ping.test/x"}).run("check")

    said = "the environment variable PING does not hold an http(s) address"
    assert (checked.exit_code, synced.exit_code) == (2, 2)
    assert said in checked.stderr
    assert said in synced.stderr
    assert "interpreter/executions" in checked.stdout
    assert ready.exit_code == 0


@pytest.mark.parametrize("place", ["notes.txt/x.duckdb", "notes.txt/deep/down/x.duckdb"])
def test_a_folder_that_cannot_be_made(bare: Stage, place: str) -> None:
    (bare.folder / "notes.txt").write_text("")
    bare.configure(f'[store]\npath = "{place}"\n' + CONFIG)

    checked, synced = bare.run("check"), bare.run("sync")

    assert (checked.exit_code, synced.exit_code) == (6, 6)
    assert f"{bare.folder / 'notes.txt'}: cannot be written" in checked.stderr


@pytest.mark.parametrize(
    "name", [".", "copies", "executions.duckdb", "executions.duckdb.wal", "executions.duckdb.lock"]
)
def test_what_a_sync_may_not_write(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    stage.configure('[store]\npublish = "copies/copy.duckdb"\n' + CONFIG)
    (stage.folder / "copies").mkdir()
    for suffix in (".wal", ".lock"):
        stage.store.with_name(stage.store.name + suffix).touch()
    assert stage.run("check").exit_code == 0
    monkeypatch.setattr(os, "access", make_access(stage.folder / name))

    result = stage.run("check")

    assert result.exit_code == 6
    assert result.stderr == (
        f"etl: error: {stage.folder / name}: cannot be written, as a sync has to\n"
    )


def test_what_a_sync_would_make_is_not_asked_for(
    bare: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare.configure('[store]\npath = "deep/down/x.duckdb"\n' + CONFIG)
    monkeypatch.setattr(os, "access", make_access(bare.folder / "deep", bare.folder / "deep/down"))

    assert bare.run("check").exit_code == 0
    assert not (bare.folder / "deep").exists()
