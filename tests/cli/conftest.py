"""A folder of its own for each test of the commands."""

from pathlib import Path

import pytest

from tests.cli.stage import CONFIG, RizaApi, Stage, make_record


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stage:
    """Three executions behind a Riza API, one source configured, nothing synced."""
    monkeypatch.chdir(tmp_path)
    stage = Stage(tmp_path, RizaApi([make_record(number) for number in (1, 2, 3)]))
    stage.configure(CONFIG)
    return stage
