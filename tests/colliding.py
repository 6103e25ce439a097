"""Two syncs of one store begin at the same moment, again and again: `python -m tests.colliding
FOLDER ROUNDS` prints the exit codes of each pair, and how long the one that was refused took.

Each is a forked child. The one that is let in gets no answer before the other one has ended.
"""

import contextlib
import json
import os
import sys
import time
from importlib import import_module
from pathlib import Path

import httpx

from etl.cli import main
from etl.cli.shell import Shell
from tests.cli.stage import CONFIG, NOW, TOKEN, RizaApi, make_record

# What a sync imports late is there before it is forked.
import_module("etl.cli.job")

RECORDS = 30


def sync(folder: Path, gate: int, other: int, ours: int, number: int) -> None:
    """One of the two: begins when the gate is closed, writes what became of it, and ends.

    `other` can be read once both have closed `ours`, which ending does, too.
    """
    api = RizaApi([make_record(number) for number in range(RECORDS)])

    def answer(request: httpx.Request) -> httpx.Response:
        if not api.requests:
            os.close(ours)
            os.read(other, 1)
        return api(request)

    shell = Shell(
        clock=lambda: NOW,
        transport=httpx.MockTransport(answer),
        environ={"RIZA_API_KEY": TOKEN},
        config_file=folder / "etl.toml",
    )
    os.read(gate, 1)
    began_s = time.monotonic()
    code = 99
    with (folder / f"said-{number}").open("w") as said, contextlib.redirect_stderr(said):
        try:
            main(["sync"], obj=shell)
        except SystemExit as exit:
            code = int(str(exit.code))
    took_s = time.monotonic() - began_s
    (folder / f"ended-{number}").write_text(json.dumps([code, round(took_s, 4), os.getpid()]))


def collide(folder: Path) -> list[dict[str, object]]:
    """Two syncs at once; what became of each, the one that was let in first."""
    gate, opener = os.pipe()
    other, ours = os.pipe()
    children = []
    for number in (0, 1):
        child = os.fork()
        if child == 0:
            try:
                os.close(opener)
                sync(folder, gate, other, ours, number)
            finally:
                os._exit(0)
        children.append(child)
    for descriptor in (gate, opener, other, ours):
        os.close(descriptor)
    for child in children:
        os.waitpid(child, 0)
    found = []
    for number in (0, 1):
        code, took_s, process_id = json.loads((folder / f"ended-{number}").read_text())
        said = (folder / f"said-{number}").read_text()
        found.append({"code": code, "took_s": took_s, "process_id": process_id, "said": said})
    return sorted(found, key=lambda one: int(str(one["code"])))


if __name__ == "__main__":
    place = Path(sys.argv[1])
    (place / "etl.toml").write_text(CONFIG)
    for _ in range(int(sys.argv[2])):
        sys.stdout.write(json.dumps(collide(place)) + "\n")
        sys.stdout.flush()
