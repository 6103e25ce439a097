"""The wheel is self-contained: installed where no checkout is near, the demo runs."""

import ast
import json
import os
import re
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
EXECUTIONS = 300


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--no-isolation", "--wheel", "--outdir", str(folder)]
    _run([*build, str(ROOT)], ROOT)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of an environment that holds the wheel and nothing of the checkout.

    What the wheel depends on is seen through a path file, so that no network is needed: it adds
    the folder of the dependencies only, not the editable project that is installed there.
    """
    folder = tmp_path_factory.mktemp("installed")
    venv.create(folder, with_pip=False)
    python = folder / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-index"]
    _run([*pip, "--no-deps", str(wheel)], folder)
    (packages,) = folder.glob("lib/python*/site-packages")
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder / "bin"


def test_the_wheel_holds_every_module_and_every_view(wheel: Path) -> None:
    modules = {str(path.relative_to(ROOT)) for path in (ROOT / "etl").rglob("*.py")}
    views = {f"etl/sql/{path.name}" for path in (ROOT / "sql").glob("*.sql")}

    names = set(zipfile.ZipFile(wheel).namelist())

    assert {name for name in names if name.endswith((".py", ".sql"))} == modules | views
    assert {"etl/report/page.html", "etl/report/page.css"} <= names
    assert not [name for name in names if "__pycache__" in name or name.startswith("tests")]


def test_the_installed_wheel_runs_the_demo_in_another_folder(
    installed: Path, tmp_path: Path
) -> None:
    origin = _run([str(installed / "python"), "-c", "import etl; print(etl.__file__)"], tmp_path)
    demo = _run([str(installed / "etl"), "demo", "--executions", str(EXECUTIONS)], tmp_path)

    assert Path(origin.strip()).is_relative_to(installed.parent)
    assert "failure" in demo
    store = tmp_path / "demo" / "executions.duckdb"
    count = _query(installed, store, "SELECT count(*) AS rows FROM executions")
    assert count[0]["rows"] >= EXECUTIONS
    assert _query(installed, store, "FROM failure_rate_daily LIMIT 1")


def test_every_import_of_the_program_is_a_declared_dependency() -> None:
    """The development environment would hide one that is missing."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = [*project["dependencies"], *project["optional-dependencies"]["report"]]
    declared = {re.split(r"[^a-z0-9-]", line.lower())[0] for line in lines}

    imported = {
        name for path in (ROOT / "etl").rglob("*.py") for name in _list_imports(path.read_text())
    }
    foreign = imported - {"etl"} - sys.stdlib_module_names

    owners = packages_distributions()
    assert {owners[name][0].lower().replace("_", "-") for name in foreign} == declared


def _list_imports(code: str) -> list[str]:
    names = []
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.append(node.module)
    return [name.partition(".")[0] for name in names]


def _query(programs: Path, store: Path, sql: str) -> list[dict[str, object]]:
    config = store.parent.parent / "etl.toml"
    config.write_text(f'[store]\npath = "{store}"\n')
    lines = _run([str(programs / "etl"), "query", "--format", "jsonl", sql], config.parent)
    return [json.loads(line) for line in lines.splitlines()]


def _run(command: list[str], folder: Path) -> str:
    """What the command prints; it must end with 0. It sees nothing of this environment."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
    done = subprocess.run(
        command,
        cwd=folder,
        env=kept,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{command}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout
