"""A folder of its own for each test of the commands."""

import shutil
from pathlib import Path

import pytest

from etl.budget import start_budget
from etl.cli.opening import prepare_store
from etl.config import StoreConfig
from tests.cli.stage import CONFIG, RizaApi, Stage, make_record

STORE = "executions.duckdb"


@pytest.fixture(scope="session")
def new_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with its schema, its views and its key: making one anew for each test takes long."""
    path = tmp_path_factory.mktemp("store") / STORE
    prepare_store(StoreConfig(path), start_budget(None))
    return path


@pytest.fixture
def stage(bare: Stage, new_store: Path) -> Stage:
    """Three executions behind a Riza API, one source configured, nothing in the store."""
    for name in (STORE, STORE + ".key"):
        shutil.copy2(new_store.with_name(name), bare.folder / name)
    return bare


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stage:
    """The same without a store."""
    monkeypatch.chdir(tmp_path)
    stage = Stage(tmp_path, RizaApi([make_record(number) for number in (1, 2, 3)]))
    stage.configure(CONFIG)
    return stage
