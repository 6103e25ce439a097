"""Who else learns how a sync went: a dead man's switch, and Prometheus. No failure of theirs is one
of the sync."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from etl.cli.shell import Shell, say
from etl.config import Config, resolve_ping_url
from etl.errors import AlreadyRunning, EtlError

if TYPE_CHECKING:
    from etl.metrics import StreamTotals
    from etl.notify import Ping

STOPPED_WAIT_S = 0.5
STORE_WAIT_S = 1.0
SIGNAL_CODES = 128


@dataclass(slots=True)
class Listeners:
    """Whom to tell about one run of `config`; `first` is the ping of its start."""

    shell: Shell
    config: Config
    metrics_file: Path | None
    ping_url: str | None
    started_at: datetime
    first: "Ping | None" = None


def find_listeners(shell: Shell, config: Config, metrics_file: Path | None) -> Listeners:
    """Whom to tell. Raises ConfigError."""
    ping_url = resolve_ping_url(config.notify, shell.environ)
    return Listeners(shell, config, metrics_file, ping_url, shell.clock())


def tell_start(listeners: Listeners) -> None:
    """The job has begun: it is the only one."""
    if listeners.ping_url is not None:
        from etl.notify import send_ping

        listeners.first = send_ping(listeners.ping_url, "start", listeners.shell.transport)


def tell_end(listeners: Listeners, exit_code: int) -> None:
    """The job has ended; one that was refused because another runs has nothing to tell."""
    if exit_code == AlreadyRunning.exit_code:
        return
    if listeners.metrics_file is not None:
        write_run_metrics(listeners, listeners.metrics_file, exit_code)
    if listeners.ping_url is not None:
        ping_end(listeners, listeners.ping_url, exit_code)


def write_run_metrics(listeners: Listeners, file: Path, exit_code: int) -> None:
    from etl.metrics import RunEnd, write_metrics

    shell = listeners.shell
    end = RunEnd(listeners.started_at, shell.clock(), exit_code)
    try:
        write_metrics(file, end, read_stream_totals(listeners))
    except OSError as error:
        say(shell, "warning", f"{file}: cannot write the metrics: {error.strerror}")


def read_stream_totals(listeners: Listeners) -> "Sequence[StreamTotals]":
    """The state of every configured stream; nothing where the store cannot be read."""
    from etl.metrics import read_totals
    from etl.store.connect import open_reader
    from etl.store.schema import SCHEMA_VERSION, read_version

    config = listeners.config
    try:
        with open_reader(config.store.path, wait_s=STORE_WAIT_S) as connection:
            if read_version(connection) != SCHEMA_VERSION:
                return ()
            return read_totals(connection, config.sources, listeners.shell.clock())
    except EtlError:
        return ()


def ping_end(listeners: Listeners, ping_url: str, exit_code: int) -> None:
    from etl.notify import PING_TIMEOUT_S, await_ping, send_ping

    shell = listeners.shell
    # Whoever stopped the job does not want to wait.
    wait_s = STOPPED_WAIT_S if exit_code > SIGNAL_CODES else PING_TIMEOUT_S
    failures = [await_ping(listeners.first, wait_s)] if listeners.first else []
    last = send_ping(ping_url, "fail" if exit_code else "", shell.transport)
    failures.append(await_ping(last, wait_s))
    for failure in {failure for failure in failures if failure is not None}:
        say(shell, "warning", f"a ping of [notify] did not arrive: {failure}")
