"""Each command loads only what it needs: cron starts it often, and people wait for it."""

import os
import subprocess
import sys

from tests.cli.stage import Stage

HEAVY = (
    *("duckdb", "httpx", "pyarrow", "rich", "tenacity", "msgspec", "numpy", "asyncio"),
    *("jinja2", "vl_convert", "pandas"),
)
PROBE = f"""
import sys
from etl.cli import run
try:
    run()
except SystemExit as end:
    code = end.code
print(code, *[name for name in {HEAVY!r} if sys.modules.get(name)])
"""


def list_loaded(stage: Stage, *words: str) -> set[str]:
    """The heavy modules that a command has loaded by its end."""
    result = subprocess.run(
        [sys.executable, "-c", PROBE, *words],
        cwd=stage.folder,
        env={**os.environ, **stage.environ},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    code, *loaded = result.stdout.splitlines()[-1].split()
    assert code == "0"
    return set(loaded)


def test_the_help_loads_nothing_heavy(stage: Stage) -> None:
    assert list_loaded(stage, "--help") == set()
    assert list_loaded(stage, "sync", "--help") == set()


def test_a_query_needs_neither_the_network_nor_arrow(stage: Stage) -> None:
    loaded = list_loaded(stage, "query", "SELECT 1")

    assert "duckdb" in loaded
    assert not loaded & {"httpx", "pyarrow", "rich"}


def test_a_sync_with_nothing_to_do_needs_no_tables(stage: Stage) -> None:
    loaded = list_loaded(stage, "sync", "--max-seconds", "0")

    assert {"duckdb", "httpx"} <= loaded
    assert not loaded & {"pyarrow", "numpy", "rich", "jinja2", "vl_convert"}


def test_pandas_is_not_loaded_where_it_is_installed(stage: Stage) -> None:
    """Neither for the parameters of a statement, where DuckDB looks for it, nor for Arrow."""
    (stage.folder / "pandas.py").write_text("")

    assert "pandas" not in list_loaded(stage, "sync", "--max-seconds", "0")
