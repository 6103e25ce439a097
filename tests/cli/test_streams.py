"""stdout and stderr on a full disk, closed, or read by a program."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest

from etl.cli.streams import prepare_streams
from tests.cli.stage import CONFIG, TOKEN, RizaApi, Stage, make_record
from tests.loopback import find_closed_port

FULL = "/dev/full"
README = Path(__file__).parent.parent.parent / "README.md"
PATIENCE_S = 60.0
KEYS = ("time", "level", "message")
COUNTS = {"written", "kept", "removed", "bytes_before", "bytes_after"}
DETAILS = {"source", "table", "file", "exit_code", "traceback", *COUNTS}
SECRETS = (TOKEN, "hunter2", "another-token-of-the-test")


def run_with(
    folder: Path, words: Sequence[str], **streams: Any
) -> "subprocess.CompletedProcess[str]":
    """The real program, its stdout and stderr where they are wanted."""
    given = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | streams
    return subprocess.run(
        [sys.executable, "-m", "etl", *words],
        cwd=folder,
        env={**os.environ, "RIZA_API_KEY": TOKEN},
        stdin=subprocess.DEVNULL,
        text=True,
        timeout=PATIENCE_S,
        check=False,
        **given,
    )


@pytest.mark.parametrize(
    "words",
    [("views",), ("status", "--json"), ("query", "FROM range(9)"), ("query", "EXPLAIN SELECT 1")],
)
def test_an_output_that_cannot_be_written_is_one_line(stage: Stage, words: tuple[str, ...]) -> None:
    with Path(FULL).open("w") as full:
        done = run_with(stage.folder, words, stdout=full)

    assert (done.returncode, done.stderr) == (
        6,
        "etl: error: the output: No space left on device; it is not whole: "
        "make room and run again\n",
    )


def test_a_log_that_cannot_be_written_fails_nothing_and_hides_nothing(stage: Stage) -> None:
    """The exit code is that of the run, also where nobody can read why."""
    stage.configure(CONFIG.replace("riza.test", f"127.0.0.1:{find_closed_port()}"))
    with Path(FULL).open("w") as full:
        done = run_with(stage.folder, ("-v", "sync", "--max-seconds", "0"), stderr=full)
        refused = run_with(stage.folder, ("-v", "sync", "no-such-source"), stderr=full)

    assert (done.returncode, done.stdout) == (0, "")
    assert refused.returncode == 2


def test_streams_that_are_closed_are_not_taken_for_files(stage: Stage) -> None:
    """Else the store may be opened as number 2, and a line of the log be written into it."""
    stage.run("sync")
    code = (
        "import os, sys; os.closerange(0, 3); sys.stdout = sys.stderr = None\n"
        "from etl.cli import main; main(['status'])"
    )
    before = stage.store.read_bytes()

    done = subprocess.run([sys.executable, "-c", code], cwd=stage.folder, check=False)

    assert done.returncode == 0
    assert stage.store.read_bytes() == before


def test_open_streams_stay_as_they_are(capfd: pytest.CaptureFixture[str]) -> None:
    before = [os.fstat(number).st_ino for number in (0, 1, 2)]

    prepare_streams()

    assert [os.fstat(number).st_ino for number in (0, 1, 2)] == before


def test_a_device_is_written_to_and_not_replaced(stage: Stage) -> None:
    stage.run("sync")
    pipe = stage.folder / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)

    result = stage.run("query", "SELECT 42 AS n", "--format", "csv", "-o", str(pipe))
    said = os.read(reader, 100)
    os.close(reader)

    assert result.exit_code == 0
    assert said == b"n\n42\n"
    assert pipe.is_fifo()


def test_metrics_replace_no_file_that_the_collector_would_not_read(stage: Stage) -> None:
    (stage.folder / "notes").write_text("precious")

    result = stage.run("sync", "--metrics", "notes")

    assert result.exit_code == 2
    assert "expected a name that ends in .prom" in result.stderr
    assert (stage.folder / "notes").read_text() == "precious"


def answer_badly(request: httpx.Request) -> httpx.Response:
    return httpx.Response(403, json={"message": f"the key {TOKEN} is no good"})


def answer_with_much_that_is_broken(request: httpx.Request) -> httpx.Response:
    records = [make_record(number, exit_code="x" * number) for number in range(1, 30)]
    return RizaApi(records)(request)


def break_down(request: httpx.Request) -> httpx.Response:
    raise KeyError(f"a bug with {TOKEN}")


@pytest.mark.parametrize(
    ("words", "handler", "levels"),
    [
        (("-v", "sync"), None, ["info"]),
        (("sync",), answer_badly, ["error"]),
        (("sync",), break_down, ["error"]),
        (("-v", "sync"), answer_with_much_that_is_broken, ["error", "info"]),
        (("sync", "--since", "yesterday"), None, ["error"]),
        (("sync", "interpretr"), None, ["error"]),
        (("sync", "--bogus"), None, ["error"]),
        (("-v", "export", "files"), None, ["info"]),
        (("-v", "publish", "copy.duckdb"), None, ["info"]),
        (("-v", "compact"), None, ["info"]),
        (("query", "FROM nothing"), None, ["error"]),
        (("status", "--max-lag", "1s"), None, ["error"]),
        (("-v", "prune", "--executions-older-than", "9d", "--yes"), None, ["info"]),
    ],
)
def test_every_line_of_a_json_log_is_an_object_with_the_same_keys_and_no_secret(
    stage: Stage, words: tuple[str, ...], handler: Any, levels: list[str]
) -> None:
    if handler is not None:
        stage = stage.but(handler=handler)

    result = stage.run("--log-format", "json", *words)

    lines = [json.loads(line) for line in result.stderr.splitlines()]
    assert [line["level"] for line in lines] == levels
    for line in lines:
        assert tuple(line)[:3] == KEYS
        assert set(line) <= {*KEYS, *DETAILS}
        assert ("exit_code" in line) == (line["level"] == "error")
    assert not [secret for secret in SECRETS if secret in result.output]


def test_the_readme_names_every_key_of_a_json_log() -> None:
    (told,) = re.findall(
        r"`--log-format json` each line(.*?)\n(?=- |\n)", README.read_text(), re.DOTALL
    )

    assert set(re.findall(r"`([a-z_]+)`", told)) == {*KEYS, *DETAILS}


def test_a_bug_as_json_says_where_it_is(stage: Stage) -> None:
    result = stage.but(handler=break_down).run("--log-format", "json", "sync")

    (line,) = [json.loads(line) for line in result.stderr.splitlines()]
    assert result.exit_code == line["exit_code"] == 1
    assert line["message"] == "this is a bug: KeyError"
    assert "in break_down" in line["traceback"]
