"""`etl demo`: three platforms on loopback, synced and shown; nothing to configure."""

import contextlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from etl.cli.shell import Shell, pass_shell, say, shared_options
from etl.errors import ConfigError

if TYPE_CHECKING:
    from etl.config import Config
    from etl.demo.faults import Faults
    from etl.demo.server import DemoServer, DemoSettings
    from etl.records import SourceConfig

PORT = 8077
TOKEN_VARIABLE = "ETL_DEMO_TOKEN"
SOURCE_NAMES = {"riza": "interpreter", "foundry": "functions", "b3os": "workflows"}
"""What the demo calls its account of each platform."""


@dataclass(frozen=True, slots=True)
class Scenery:
    """How much history there is, and what is wrong with the server."""

    executions: int
    days: float
    faults: tuple[str, ...]
    retry_after_s: float
    latency_ms: float
    slow_ms: float
    fault_seed: int


@click.command(short_help="Try it: demo APIs on loopback, synced and shown.")
@click.option(
    "--dir",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("demo"),
    show_default=True,
    help="Where the store of the demo goes.",
)
@click.option("--serve", "is_served", is_flag=True, help="Only run the demo APIs, until Ctrl-C.")
@click.option(
    "--port",
    type=click.IntRange(0, 65_535),
    help=f"The port of the demo APIs. [default: {PORT} with --serve, else a free one]",
)
@click.option(
    "--executions",
    type=click.IntRange(min=1),
    default=5_000,
    show_default=True,
    help="Executions per platform.",
)
@click.option(
    "--days",
    type=click.FloatRange(min=0, min_open=True),
    default=90.0,
    show_default=True,
    help="Days over which they are spread; newer ones follow with the clock.",
)
@click.option(
    "--fault",
    "faults",
    multiple=True,
    metavar="NAME=SHARE|NAME@NUMBER",
    help="A share of the requests, or the one with this number, goes wrong: rate_limit, error_500, "
    "error_503, no_retry, drop, reset, cut, html, soft_error, repeat_page, delete_anchor, "
    "expire_token, slow. May be given again.",
)
@click.option("--retry-after-s", type=click.FloatRange(min=0), default=1.0, show_default=True)
@click.option("--latency-ms", type=click.FloatRange(min=0), default=0.0, show_default=True)
@click.option("--slow-ms", type=click.FloatRange(min=0), default=500.0, show_default=True)
@click.option("--fault-seed", type=int, default=0, show_default=True)
@shared_options
@pass_shell
def command(
    shell: Shell, /, folder: Path, is_served: bool, port: int | None, **scenery: Any
) -> int:
    """Sync the embedded demo APIs into a store of their own, and show what failed.

    Run it again: only what is new since then is fetched.
    """
    settings = make_settings(Scenery(**scenery))
    if is_served:
        return serve(shell, settings, PORT if port is None else port)
    from etl.cli.demo_tables import show_findings

    file = folder / "etl.toml"
    exit_code = sync_demo(shell, file, settings, port or 0)
    show_findings(file)
    return exit_code


def make_settings(scenery: Scenery) -> "DemoSettings":
    """The server's settings. Raises ConfigError for faults it does not know."""
    from etl.demo.server import DemoSettings

    return DemoSettings(
        executions=scenery.executions, days=scenery.days, faults=read_faults(scenery)
    )


def read_faults(scenery: Scenery) -> "Faults":
    """`NAME=SHARE` and `NAME@NUMBER` as the server's faults."""
    from etl.demo.faults import FAULT_NAMES, Faults

    shares: dict[str, Any] = {}
    script: dict[int, Any] = {}
    for text in scenery.faults:
        separator = "@" if "@" in text else "="
        name, _, number = text.partition(separator)
        with contextlib.suppress(ValueError):
            if name in FAULT_NAMES and separator == "@":
                script[int(number)] = name
                continue
            if name in FAULT_NAMES and name != "no_retry" and 0 <= float(number) <= 1:
                shares[name] = float(number)
                continue
        raise ConfigError(
            f"--fault {text}: expected NAME=SHARE or NAME@NUMBER with one of "
            f"{', '.join(FAULT_NAMES)}; no_retry only with a number"
        )
    try:
        return Faults(
            seed=scenery.fault_seed,
            retry_after_s=scenery.retry_after_s or None,
            latency_ms=scenery.latency_ms,
            slow_ms=scenery.slow_ms,
            script=script,
            **shares,
        )
    except ValueError as error:
        raise ConfigError(f"--fault: {error}") from None


@contextlib.contextmanager
def run_server(shell: Shell, settings: "DemoSettings", port: int) -> "Iterator[DemoServer]":
    """The demo APIs, for as long as it takes."""
    from etl.demo.server import start_server

    try:
        server = start_server(settings, now=shell.clock, port=port)
    except OSError as error:
        raise ConfigError(f"port {port} cannot be used: {error.strerror}") from None
    with server:
        yield server


def serve(shell: Shell, settings: "DemoSettings", port: int) -> int:
    """Run the demo APIs in the foreground until a signal comes."""
    from etl.budget import start_budget
    from etl.cli.stopping import stop_on_signals

    budget = start_budget(None)
    with stop_on_signals(budget), run_server(shell, settings, port) as server:
        for platform in settings.platforms:
            click.echo(f"{server.base_url}/{platform}")
        click.echo(f"The token is {settings.token}. Ctrl-C ends it.")
        budget.stop.wait()
    return 0


def sync_demo(shell: Shell, file: Path, settings: "DemoSettings", port: int) -> int:
    """Start the server, sync each of its platforms that this program knows, stop the server."""
    from etl.cli.job import Wish, run_sync
    from etl.config import load_config

    shell.environ = {**os.environ, TOKEN_VARIABLE: settings.token}
    shell.is_verbose = True
    with run_server(shell, settings, port) as server:
        began_at = shell.clock() - timedelta(days=settings.days + 1)
        write_config(file, began_at, list(server.foundry.history.streams))
        config = load_config(file)
        sources = list_demo_sources(config, server.base_url)
        is_new = not config.store.path.exists()
        totals = count_records(shell, server, sources) if is_new else {}
        say(
            shell,
            "info",
            f"The demo APIs are served on {server.base_url}; the store is {config.store.path}",
        )
        return run_sync(shell, config, sources, Wish(totals=totals))


def write_config(file: Path, began_at: datetime, resources: Sequence[str]) -> None:
    """The demo's etl.toml, as good for `etl demo --serve`; an existing one stays."""
    from etl.sources import SOURCES

    if file.exists():
        return
    tables = [make_table(kind, began_at, resources) for kind in SOURCE_NAMES if kind in SOURCES]
    text = f"""\
# Written by: etl demo. To sync by hand: etl demo --serve, then in another shell
# {TOKEN_VARIABLE}=demo-token etl --config {file} sync

[store]
path = "executions.duckdb"
"""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("\n".join([text, *tables]), encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{file}: cannot be written: {error.strerror}") from None


def make_table(kind: str, began_at: datetime, resources: Sequence[str]) -> str:
    """One source; a list that is asked window by window is told where its history begins."""
    lines = [
        f"[sources.{SOURCE_NAMES[kind]}]",
        f'kind = "{kind}"',
        f'base_url = "http://127.0.0.1:{PORT}/{kind}"',
        f'token_env = "{TOKEN_VARIABLE}"',
    ]
    if kind == "foundry":
        lines += [f"since = {began_at:%Y-%m-%d}T00:00:00Z"]
        lines += ["resources = [", *(f'    "{rid}",' for rid in resources), "]"]
    return "\n".join([*lines, ""])


def list_demo_sources(config: "Config", base_url: str) -> "list[SourceConfig]":
    """The sources of the demo, at the address where it is served this time."""
    found = [
        replace(source, base_url=f"{base_url}/{source.kind}")
        for source in config.sources
        if source.token_env == TOKEN_VARIABLE and source.kind in SOURCE_NAMES
    ]
    if not found:
        raise ConfigError(f"{config.file}: no source of the demo is left in it; remove the file")
    return found


def count_records(
    shell: Shell, server: "DemoServer", sources: "Sequence[SourceConfig]"
) -> dict[str, int]:
    """How many records each source will bring, for the progress bar."""
    now = shell.clock()
    streams = server.foundry.history.streams.values()
    counts = {
        "riza": len(server.riza.visible(now)),
        "foundry": sum(len(stream.visible(now)) for stream in streams),
        "b3os": len(server.b3os.visible(now)),
    }
    return {source.name: counts[source.kind] for source in sources}
