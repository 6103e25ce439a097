"""A real Airflow on loopback: api-server, scheduler and dag-processor, started and stopped.

    with running_airflow(programs, home, dags) as airflow:
        runs = airflow.get("/api/v2/dags/~/dagRuns")

SQLite and every log live below `home`. The three processes are started one by one instead of by
`airflow standalone`, which listens on all interfaces and leaves children behind when it is killed.
"""

import contextlib
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

START_TIMEOUT_S = 90.0
STOP_TIMEOUT_S = 10.0
REQUEST_TIMEOUT_S = 30.0
POLL_INTERVAL_S = 0.25
SERVER_BUSY_S = 2
"""How long the API server waits for SQLite. It may wait for a thread of its own, which in turn
waits for the server's event loop: it has to give up, and its clients ask again."""
SERVICE_BUSY_S = 60
"""How long the others wait. A scheduler that gives up ends."""
DATABASE = "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"
RESTARTED = ["sh", "-c", 'until "$@"; do sleep 1; done', "sh"]
"""Runs a service again when it fails, as whoever operates an Airflow does."""

T = TypeVar("T")


class LiveError(Exception):
    """The real Airflow did not do in time what the test needs of it."""


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer: HTTP status, headers and the decoded JSON body."""

    status: int
    headers: Mapping[str, str]
    body: Any


@dataclass(frozen=True, slots=True)
class Airflow:
    """A running Airflow: its address, an admin's token, and the folder that holds its database."""

    base_url: str
    token: str
    home: Path

    def request(self, method: str, path: str, body: Any = None) -> Reply:
        """One request, whatever status it ends with; `path` carries the query."""
        try:
            return send(method, self.base_url + path, self.token, body)
        except OSError as error:
            raise LiveError(f"{method} {path}: {error}") from error

    def get(self, path: str) -> Any:
        """The JSON body of a GET; LiveError unless it is a 200."""
        reply = self.request("GET", path)
        if reply.status != 200:
            raise LiveError(f"GET {path}: HTTP {reply.status}: {reply.body}")
        return reply.body


def send(method: str, url: str, token: str | None = None, body: Any = None) -> Reply:
    """One HTTP request with a JSON body, past any proxy of the environment."""
    headers = {"Accept": "application/json", "Content-Type": "application/json"}
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, headers=headers, method=method)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=REQUEST_TIMEOUT_S) as answer:
            status, answered, text = answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            status, answered, text = error.code, error.headers, error.read()
    return Reply(status, dict(answered), json.loads(text) if text else None)


@contextmanager
def running_airflow(programs: Path, home: Path, dags: Path) -> Iterator[Airflow]:
    """Start Airflow from the virtual environment's `programs` folder, and stop all of it again.

    `home` receives database and logs; `dags` is the folder of DAG files. It is ready when the API
    answers; whether the DAGs are parsed is for the caller to wait for.
    """
    port = find_free_port()
    base_url = f"http://127.0.0.1:{port}"
    environment = build_environment(home, dags, base_url)
    impatient = environment | {DATABASE: locate_database(home, SERVER_BUSY_S)}
    (home / "logs").mkdir(parents=True, exist_ok=True)
    airflow = str(programs / "airflow")
    subprocess.run([airflow, "db", "migrate"], env=environment, check=True, capture_output=True)
    server = [airflow, "api-server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    with ExitStack() as processes:
        api = processes.enter_context(running_process(server, impatient, home / "logs/api.log"))
        token = wait_for_token(base_url, api)
        for name, *options in (["dag-processor"], ["scheduler", "--skip-serve-logs"]):
            command = [*RESTARTED, airflow, name, *options]
            log = home / "logs" / f"{name}.log"
            processes.enter_context(running_process(command, environment, log))
        yield Airflow(base_url, token, home)


def find_free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def build_environment(home: Path, dags: Path, base_url: str) -> dict[str, str]:
    """The environment of the three processes: ours alone, whatever Airflow the user has set up."""
    inherited = {k: v for k, v in os.environ.items() if not k.upper().startswith("AIRFLOW")}
    return inherited | {
        "AIRFLOW_HOME": str(home),
        DATABASE: locate_database(home, SERVICE_BUSY_S),
        "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{base_url}/execution/",
        "AIRFLOW__CORE__PARALLELISM": "4",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
        "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_hex(32),
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        # The tasks talk to the API server: a proxy of the environment must not come between.
        "NO_PROXY": "127.0.0.1",
        "no_proxy": "127.0.0.1",
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def locate_database(home: Path, busy_s: int) -> str:
    """SQLite in `home`, with a limit on how long to wait for whoever writes to it."""
    return f"sqlite:///{home}/airflow.db?timeout={busy_s}"


@contextmanager
def running_process(
    command: list[str], environment: Mapping[str, str], log: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """Run `command` in a process group of its own; at the end the whole group is gone."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            env=environment,
            cwd=log.parent,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        stop_group(process)


def stop_group(process: subprocess.Popen[bytes]) -> None:
    """End a process and all that came from it: asked first, then killed.

    Airflow gives each task a process group of its own; such groups are found by parentage while
    the process still lives.
    """
    groups = find_groups(process.pid)
    signal_group(process.pid, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(STOP_TIMEOUT_S)
    for group in groups | find_groups(process.pid):
        signal_group(group, signal.SIGKILL)
    process.wait()


def find_groups(root: int) -> set[int]:
    """The process groups of a process and of all its descendants."""
    command = ["ps", "-A", "-o", "pid=,ppid=,pgid="]
    listed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    processes = [tuple(map(int, line.split())) for line in listed.splitlines()]
    family, groups = {root}, {root}
    while True:
        found = {pid: pgid for pid, ppid, pgid in processes if ppid in family and pid not in family}
        if not found:
            return groups
        family |= set(found)
        groups |= set(found.values())


def signal_group(group: int, number: signal.Signals) -> None:
    """Send a signal to a process group, if it still exists."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, number)


def wait_for_token(base_url: str, api: subprocess.Popen[bytes]) -> str:
    """The token of the all-admins mode, as soon as the API server hands it out."""

    def ask() -> str | None:
        if api.poll() is not None:
            sys.exit(f"the API server ended with exit code {api.returncode}")
        try:
            reply = send("GET", f"{base_url}/auth/token")
        except OSError:
            return None
        return str(reply.body["access_token"]) if reply.status in (200, 201) else None

    return wait_until("the API server answers", ask, START_TIMEOUT_S)


def wait_until(what: str, ask: Callable[[], T | None], timeout_s: float) -> T:
    """What `ask()` returns once it is true; LiveError when that takes longer than `timeout_s`.

    A request that fails meanwhile is made again.
    """
    deadline_s = time.monotonic() + timeout_s
    failure = ""
    while time.monotonic() < deadline_s:
        try:
            answer = ask()
        except LiveError as error:
            answer, failure = None, f"; {error}"
        if answer:
            return answer
        time.sleep(POLL_INTERVAL_S)
    raise LiveError(f"waited {timeout_s:.0f} s in vain until {what}{failure}")
