"""What is planted in every place of every API is nowhere in what the program writes or says."""

import logging
import os
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner

from etl.cli import main
from etl.cli.shell import Shell
from etl.redact import load_key, make_fingerprint
from tests.budgets import RecordingBudget
from tests.leaks.apis import CONFIG, NOW, answer
from tests.leaks.planted import FINGERPRINTED, PLANTED, SAID, TOKEN
from tests.leaks.search import find_secrets, read_folder, read_parquet, read_tables

COMMANDS = [
    "sync -v --log-format json --json --metrics etl.prom",
    "check -v",
    "status --json",
    "export parquet -v TABLES",
]
MORE_COMMANDS = [
    "sync -v interpreter --full",
    "fetch -v workflows exec_1",
    "status",
    "quarantine",
    "quarantine --json",
    "quarantine --replay -v",
    "query --format csv FROM\texecutions",
    "report report.html",
    "publish republished.duckdb",
    "export csv -v --format csv TABLES",
    "export jsonl -v --format jsonl TABLES",
]
TABLES = (
    "-t executions -t riza.executions -t riza.env -t riza.http_allow -t riza.files "
    "-t airflow.dag_runs -t airflow.task_instances -t b3os.executions -t b3os.events "
    "-t foundry.executions -t etl.quarantine -t etl.runs -t etl.drift"
)


@dataclass
class Written:
    """All that a store's life has left: the bytes of files, their contents in clear, what was said.

    `stored` is the text of the tables.
    """

    folder: Path
    content: dict[str, bytes] = field(default_factory=dict)
    stored: dict[str, bytes] = field(default_factory=dict)

    def say(self, what: str, content: bytes) -> None:
        self.content[f"what {what} said"] = content


def live(folder: Path, policy: str, commands: list[str]) -> Written:
    """A sync that is killed, one that goes on, and everything that reads the store."""
    written = Written(folder)
    (folder / "etl.toml").write_text(CONFIG.replace("POLICY", policy))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("TMPDIR", str(folder))
        patch.setenv("HOME", str(folder))
        die(written)
        log = folder / "debug.log"
        handler = logging.FileHandler(log)
        root = logging.getLogger()
        level = root.level
        root.addHandler(handler)
        root.setLevel(logging.DEBUG)
        try:
            for command in commands:
                run(written, command.replace("TABLES", TABLES).split(" "))
        finally:
            root.removeHandler(handler)
            root.setLevel(level)
            handler.close()
    written.content |= read_folder(folder)
    written.stored = read_tables(folder / "executions.duckdb")
    written.content |= written.stored | read_parquet(folder)
    for copy in folder.glob("*ublished.duckdb"):
        written.content |= read_tables(copy)
    return written


def die(written: Written) -> None:
    """A process that is killed behind a commit, before it has closed the store."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.leaks.dying", "-v", "--log-format", "json", "sync"],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    written.say("the process that was killed", done.stdout + done.stderr)
    left = read_folder(written.folder)
    written.content |= {f"left by a kill: {name}": content for name, content in left.items()}


def run(written: Written, words: list[str]) -> None:
    shell = Shell(
        clock=lambda: NOW,
        start_budget=lambda max_seconds: RecordingBudget(max_seconds),
        transport=httpx.MockTransport(answer),
        environ={"API_TOKEN": TOKEN},
    )
    result = CliRunner().invoke(main, words, obj=shell)
    assert result.exit_code in (0, 3, 4, 7), result.output
    written.say(" ".join(words), result.output_bytes)


@pytest.fixture(scope="module")
def redacted(tmp_path_factory: pytest.TempPathFactory) -> Written:
    return live(tmp_path_factory.mktemp("redacted"), "redacted", COMMANDS + MORE_COMMANDS)


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Written:
    return live(tmp_path_factory.mktemp("full"), "full", COMMANDS)


def test_no_secret_is_in_anything_that_was_written_or_said(redacted: Written) -> None:
    everything = PLANTED | SAID | {"the API token": TOKEN}

    assert len(everything) >= 60
    assert find_secrets(everything, redacted.content) == []


def test_each_secret_has_its_fingerprint_in_the_store(redacted: Written) -> None:
    key = load_key(redacted.folder / "executions.duckdb")
    stored = b"\n".join(redacted.stored.values())

    marks = {name: make_fingerprint(key, secret) for name, secret in FINGERPRINTED.items()}

    assert [name for name, mark in marks.items() if mark.encode() not in stored] == []


def test_with_full_payloads_the_same_search_finds_each_of_them(full: Written) -> None:
    places = {"in the store": full.stored, "in Parquet": read_parquet(full.folder)}

    for place, content in places.items():
        found = {line.partition(" (")[0] for line in find_secrets(PLANTED, content)}
        assert PLANTED.keys() - found == set(), place


def test_what_an_api_says_and_the_token_stay_out_of_full_payloads_too(full: Written) -> None:
    assert find_secrets(SAID | {"the API token": TOKEN}, full.content) == []


def test_the_search_reads_what_a_kill_has_left(full: Written) -> None:
    """The log of the store that nobody closed, or the store itself: it holds secrets in clear."""
    left = {name: raw for name, raw in full.content.items() if name.startswith("left by a kill")}

    assert any("executions.duckdb" in line for line in find_secrets(PLANTED, left))
