"""With 50 ms for each request: how near a chain of pages comes to waiting only, and what windows
side by side gain."""

import http.client
import json
import shutil
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from etl.demo.grid import Span
from etl.demo.history_foundry import FoundryHistory
from etl.demo.server import TOKEN, DemoSettings
from tests.bench.commands import run_etl, write_config
from tests.bench.figures import Figure
from tests.bench.loads import count_rows
from tests.bench.served import serve

ROUNDS = 3
LATENCY_MS = 50.0
CHAIN_EXECUTIONS = 20_000
YEAR_DAYS = 365.0
WINDOWS = (1, 4, 8)


class _Named(msgspec.Struct):
    id: str


class _Listed(msgspec.Struct):
    data: list[_Named]


def measure_chain(executions: int, folder: Path) -> Iterator[Figure]:
    """A list that can only be read page after page, beside a walk that does nothing else."""
    count = min(executions, CHAIN_EXECUTIONS)
    settings = DemoSettings(platforms=("riza",), executions=count, cached_records=count)
    bare_s, sync_s, ratios = [], [], []
    with serve(settings) as served:
        url = f"{served.base_url}/riza"
        walk_bare(url)
        served.set_latency(LATENCY_MS)
        for number in range(ROUNDS):
            before = served.ask_requests()
            bare_s.append(walk_bare(url))
            between = served.ask_requests()
            work = folder / str(number)
            write_config(work, f'kind = "riza"\nbase_url = "{url}"')
            sync_s.append(run_etl(work, "sync").wall_s)
            # One execution in a hundred is listed without details, and asked for by its id.
            share = (served.ask_requests() - between) / (between - before)
            ratios.append(sync_s[-1] / bare_s[-1] / share)
    yield Figure(f"{count:,} executions, {LATENCY_MS:.0f} ms: requests alone", "s", bare_s)
    yield Figure(f"{count:,} executions, {LATENCY_MS:.0f} ms: sync", "s", sync_s)
    yield Figure("sync / requests alone, for as many requests", "x", ratios)


def walk_bare(url: str) -> float:
    """Ask for page after page and keep nothing but the last id; the seconds it took."""
    address = urlsplit(url)
    connection = http.client.HTTPConnection(str(address.hostname), address.port)
    decode = msgspec.json.Decoder(_Listed).decode
    path = f"{address.path}/v1/executions?limit=100"
    headers = {"Authorization": f"Bearer {TOKEN}"}
    after = ""
    began_s = time.perf_counter()
    while True:
        connection.request("GET", path + after, headers=headers)
        listed = decode(connection.getresponse().read()).data
        if not listed:
            connection.close()
            return time.perf_counter() - began_s
        after = f"&starting_after={listed[-1].id}"


def measure_windows(executions: int, folder: Path) -> Iterator[Figure]:
    """A year of a list that can be filtered by time, by so many windows at once."""
    settings = DemoSettings(
        platforms=("foundry",), executions=executions, days=YEAR_DAYS, cached_records=executions
    )
    resources = json.dumps(list(FoundryHistory(Span(executions, YEAR_DAYS)).streams))
    since = (datetime.now(UTC) - timedelta(days=YEAR_DAYS + 1)).isoformat(timespec="seconds")
    times_s: dict[int, list[float]] = {windows: [] for windows in WINDOWS}
    with serve(settings) as served:
        source = (
            f'kind = "foundry"\nbase_url = "{served.base_url}/foundry"\nresources = {resources}\n'
            f"since = {since}\nconcurrency = "
        )
        _sync_anew(folder, f"{source}8")
        served.set_latency(LATENCY_MS)
        for _ in range(ROUNDS):
            for windows, found in times_s.items():
                found.append(_sync_anew(folder, f"{source}{windows}"))
    rows = count_rows(folder, "foundry.executions")
    for windows, found in times_s.items():
        what = f"{rows:,} Foundry executions, {LATENCY_MS:.0f} ms, windows: {windows}"
        yield Figure(what, "s", found)
    ratios = [one / eight for one, eight in zip(times_s[1], times_s[8], strict=True)]
    yield Figure("one window / eight", "x", ratios)


def _sync_anew(work: Path, source: str) -> float:
    shutil.rmtree(work, ignore_errors=True)
    write_config(work, source)
    return run_etl(work, "sync").wall_s
