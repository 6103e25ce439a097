"""`python -m tests.leaks.dying WORDS…`: the command, killed behind its second commit."""

import os
import signal
import sys
from typing import Any

import httpx

from etl.cli import main
from etl.cli.shell import Shell
from etl.sync import load
from tests.leaks.apis import NOW, TOKEN, answer

COMMITS = 2
commit_batch = load.commit_batch
commits = 0


def commit_and_die(connection: Any) -> None:
    """The rows are in the store or its log, and the store is still open."""
    global commits
    commit_batch(connection)
    commits += 1
    if commits == COMMITS:
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    load.commit_batch = commit_and_die
    environ = {"API_TOKEN": TOKEN}
    main(
        sys.argv[1:],
        obj=Shell(lambda: NOW, transport=httpx.MockTransport(answer), environ=environ),
    )
