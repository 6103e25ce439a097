"""What `etl check` looks at, each with what was found."""

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from etl.budget import Budget
from etl.cli.opening import open_known, read_key_id
from etl.cli.progress import describe_clock
from etl.cli.render import paint, print_table
from etl.cli.shell import Shell, describe_error
from etl.config import Config, StoreConfig, resolve_ping_url, resolve_token
from etl.coverage import observe_order
from etl.errors import ConfigError, EtlError, GapTooLarge, StoreError
from etl.http import Client, open_client
from etl.records import Gap, Page, SourceConfig, Stream
from etl.redact import load_key, make_key_path
from etl.sources import SOURCES, list_tables
from etl.store.connect import check_file
from etl.store.integrity import Finding, check_store, count_clear_secrets
from etl.store.schema import SCHEMA_VERSION
from etl.wording import count_things, format_duration

FIRST_WINDOW = timedelta(days=1)
WINDOW_MIN = timedelta(minutes=1)
WRITTEN = ("", ".wal", ".lock")
"""How the files end that a sync writes, beside the key."""
ORDERS = {
    "descending": "newest first",
    "ascending": "oldest first",
    "unordered": "in no order of time",
    None: "order not seen",
}


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that was looked at: what about it, and what was found or went wrong."""

    subject: str
    found: str
    error: EtlError | None = None
    is_warning: bool = False


def check_config(config: Config, environ: Mapping[str, str]) -> list[Line]:
    """What the file says, what is unwise in it, and the address that it leaves to a variable."""
    names = ", ".join(source.name for source in config.sources)
    file = str(config.file)
    lines = [Line(file, f"sources: {names}")]
    lines += [Line(file, warning, is_warning=True) for warning in config.warnings]
    try:
        resolve_ping_url(config.notify, environ)
    except ConfigError as error:
        lines.append(Line(file, str(error), error))
    return lines


def check_source(shell: Shell, source: SourceConfig, budget: Budget) -> list[Line]:
    """One line per stream of a source: a page of it, or why there is none."""
    try:
        ready = resolve_token(source, shell.environ)
    except EtlError as error:
        return [Line(source.name, describe_error(error), error)]
    lines = []
    with open_client(
        ready.name,
        ready.base_url,
        ready.token,
        budget,
        ready.requests_per_second,
        shell.transport,
    ) as client:
        for stream in SOURCES[ready.kind].list_streams(ready):
            subject = f"{ready.name}/{stream.name}"
            try:
                lines += check_stream(shell, client, ready, stream, subject)
            except EtlError as error:
                lines.append(Line(subject, describe_error(error), error))
                if error.reach == "source":
                    break
    return lines


def check_stream(
    shell: Shell, client: Client, source: SourceConfig, stream: Stream, subject: str
) -> list[Line]:
    """What the first page of a stream shows. Raises EtlError."""
    started_s = time.monotonic()
    page = fetch_newest_page(shell, client, source, stream)
    took = format_duration(timedelta(seconds=time.monotonic() - started_s))
    times = [mark.time for mark in page.marks]
    order = stream.order or observe_order(None, None, times)
    count = count_things(len(page.records), "record")
    found = f"{count} in {took}, {ORDERS[order]}, payloads {source.payloads}"
    lines = [Line(subject, found)]
    if page.broken:
        fault = page.broken[0]
        broken = count_things(len(page.broken), "record")
        text = f"{broken} not understood: {fault.error} at {fault.path}"
        lines.append(Line(subject, text, is_warning=True))
    if page.extras:
        text = f"{count_things(len(page.extras), 'record')} with fields this program does not know"
        lines.append(Line(subject, text, is_warning=True))
    if page.served_at is not None:
        warning = describe_clock(shell.clock() - page.served_at)
        lines += [Line(subject, warning, is_warning=True)] if warning else []
    return lines


def fetch_newest_page(shell: Shell, client: Client, source: SourceConfig, stream: Stream) -> Page:
    """The first page of the last day; a smaller one of a shorter time where that is too much."""
    now = shell.clock()
    window = FIRST_WINDOW
    while True:
        gap = Gap(now - window, now, order=stream.order)
        try:
            return SOURCES[source.kind].fetch_page(client, source, stream, gap, None)
        except GapTooLarge:
            if window < WINDOW_MIN:
                raise
            window /= 4
            source = replace(source, page_size=max(1, source.page_size // 4))


def check_writing(store: StoreConfig) -> list[Line]:
    """What a sync could not write if it were started by whoever asks."""
    folders = [find_folder(path) for path in (store.path, store.publish) if path is not None]
    files = [store.path.with_name(store.path.name + suffix) for suffix in WRITTEN]
    refused = [folder for folder in folders if not os.access(folder, os.W_OK | os.X_OK)]
    refused += [file for file in files if os.access(file, os.F_OK) and not os.access(file, os.W_OK)]
    text = "cannot be written, as a sync has to"
    return [Line(str(p), text, StoreError(f"{p}: {text}")) for p in dict.fromkeys(refused)]


def find_folder(path: Path) -> Path:
    """The folder where a file will stand, or the one in which its folders will be made."""
    return next((parent for parent in path.parents if os.access(parent, os.F_OK)), path.parent)


def check_the_store(config: Config) -> list[Line]:
    """What the store is, and each promise that it breaks."""
    path = config.store.path
    redacted = [source.name for source in config.sources if source.payloads != "full"]
    try:
        if not check_file(path):
            return [Line(str(path), "no store yet; the first sync makes it")]
        with open_known(config.store) as connection:
            findings = check_store(connection, list_tables())
            clear = count_clear_secrets(connection, list_tables(), redacted)
            key_id = read_key_id(connection)
    except EtlError as error:
        return [Line(str(path), describe_error(error), error)]
    lines = [Line(str(path), describe_store(path, findings)), *check_the_key(path, key_id)]
    for finding in findings:
        if finding.broken:
            text = f"{finding.promise}: broken by {count_things(finding.broken, 'row')}"
            lines.append(Line(str(path), text, StoreError(f"{path}: {text}")))
    if clear:
        text = f'{count_things(clear, "secret")} in it unredacted, from when payloads was "full"'
        lines.append(Line(str(path), text, is_warning=True))
    return lines


def check_the_key(path: Path, key_id: str | None) -> list[Line]:
    """What is wrong with the key of the fingerprints; nothing where it is the store's."""
    try:
        if key_id is not None:
            load_key(path, key_id)
    except ConfigError as error:
        return [Line(str(make_key_path(path)), str(error), error)]
    return []


def describe_store(path: Path, findings: Sequence[Finding]) -> str:
    kept = sum(not finding.broken for finding in findings)
    promises = f"{kept} of {len(findings)} promises kept"
    return f"schema version {SCHEMA_VERSION}, {path.stat().st_size / 1e6:.1f} MB, {promises}"


def print_lines(lines: Sequence[Line]) -> None:
    def paint_mark(line: Line) -> Any:
        if line.error is not None:
            return paint("failed", "bad")
        return paint("note", "dim") if line.is_warning else paint("ok", "good")

    rows = [(paint_mark(line), line.subject, line.found) for line in lines]
    print_table(("", "what", "found"), rows, is_wrapped=True)
