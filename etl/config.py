"""etl.toml -> which sources, with which settings. Secrets come from the environment only.

Every refusal is one line: the file, the key, what was found and what was expected. What may be a
secret is never shown.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import SplitResult, urlsplit
from zoneinfo import ZoneInfo, available_timezones

import msgspec
from msgspec import Meta

from etl.errors import ConfigError
from etl.records import SourceConfig
from etl.toml import (
    Place,
    check_keys,
    check_secrets,
    convert,
    describe,
    hint,
    join_names,
    list_keys,
    read_toml,
    suggest,
)

SOURCE_NAME = re.compile(r"[a-z0-9_-]+")
VARIABLE_NAME = re.compile(r"[A-Z_][A-Z0-9_]*")
DURATION_PART = re.compile(r"(\d+(?:\.\d+)?)([smhdwy])")
DURATION = re.compile(rf"(?:{DURATION_PART.pattern})+")
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800, "y": 31_536_000}
PRIVATE_SUFFIXES = (".local", ".localhost", ".internal", ".lan", ".svc", ".test", ".example")

FilePath = Annotated[str, Meta(min_length=1, description="the path of a file")]
Address = Annotated[str, Meta(description="an http(s) address")]
Time = Annotated[
    datetime, Meta(tz=True, description="a time with its offset, such as 2026-01-01T00:00:00Z")
]
Duration = Annotated[str, Meta(description='a duration such as "90m", "24h" or "7d"')]
Zone = Annotated[str, Meta(description='a time zone such as "UTC" or "Europe/Berlin"')]
Rows = Annotated[int, Meta(ge=1, le=1_000_000, description="a whole number from 1 to 1000000")]
Seconds = Annotated[float, Meta(ge=0, le=60, description="a number from 0 to 60")]
Rate = Annotated[float, Meta(gt=0, description="a number above 0")]
# A page of one would never show how its list is ordered.
PageSize = Annotated[int, Meta(ge=2, le=1_000, description="a whole number from 2 to 1000")]
Threads = Annotated[int, Meta(ge=1, le=32, description="a whole number from 1 to 32")]
Payloads = Annotated[
    Literal["full", "redacted", "none"], Meta(description='"full", "redacted" or "none"')
]
Flag = Annotated[bool, Meta(description="true or false")]
Table = Annotated[dict[str, Any], Meta(description="a table")]
VariableName = Annotated[
    str, Meta(description="the NAME of an environment variable, such as RIZA_API_KEY")
]


class StoreTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[store]`."""

    path: FilePath = "executions.duckdb"
    publish: FilePath | None = None
    timezone: Zone = "UTC"


class SyncTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[sync]`: when a batch is committed."""

    batch_rows: Rows = 5_000
    batch_seconds: Seconds = 1.0


class NotifyTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[notify]`: who is told that the job runs. The address is a credential."""

    ping_url: Address | None = None
    ping_url_env: VariableName | None = None


class SourceTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The keys that each `[sources.NAME]` may have, whatever its kind."""

    kind: Annotated[str, Meta(description="the kind of an API")]
    token_env: VariableName
    base_url: Address | None = None
    since: Time | None = None
    lookback: Duration | None = None
    page_size: PageSize = 100
    requests_per_second: Rate | None = None
    concurrency: Threads = 4
    payloads: Payloads = "redacted"
    file_contents: Flag = False
    detect_secrets: Flag = False


class FileTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file, its tables still unread."""

    store: Table = {}
    sync: Table = {}
    notify: Table = {}
    sources: Table = {}


@dataclass(frozen=True, slots=True)
class StoreConfig:
    """Where the store and its published copy are; `timezone` is where days begin in the views."""

    path: Path
    publish: Path | None = None
    timezone: str = "UTC"


@dataclass(frozen=True, slots=True)
class Config:
    """The whole file, checked. The sources' tokens are still missing: see `resolve_token`.

    `warnings` are what is allowed but unwise, a line each.
    """

    file: Path
    store: StoreConfig
    sync: SyncTable
    notify: NotifyTable
    sources: tuple[SourceConfig, ...]
    warnings: tuple[str, ...] = ()


def load_config(file: Path) -> Config:
    """Read and check the whole file. Raises ConfigError."""
    place, tables = _read(file)
    store = _read_store(place, tables)
    limits = convert(place.at("sync"), tables.sync, SyncTable)
    notify = _read_notify(place, tables)
    if not tables.sources:
        raise place.at("sources").refuse(
            "none is configured; take away the # before one, or add [sources.NAME]"
        )
    here = place.at("sources")
    sources = [_read_source(here.at(name), name, table) for name, table in tables.sources.items()]
    warnings = [
        f"sources.{source.name}.base_url: the token travels unencrypted; expected https://"
        for source in sources
        if _is_open_to_listeners(source.base_url)
    ]
    return Config(file, store, limits, notify, tuple(sources), tuple(warnings))


def load_store(file: Path) -> StoreConfig:
    """Read `[store]` alone: reading the store needs no source and no token. Raises ConfigError."""
    place, tables = _read(file)
    return _read_store(place, tables)


def select_sources(config: Config, names: Sequence[str]) -> tuple[SourceConfig, ...]:
    """The sources of these names, in the order of the file; all without a name."""
    known = [source.name for source in config.sources]
    for name in names:
        if name not in known:
            raise ConfigError(f'{config.file}: there is no source "{name}"; {suggest(name, known)}')
    return tuple(source for source in config.sources if not names or source.name in names)


def resolve_token(source: SourceConfig, environ: Mapping[str, str]) -> SourceConfig:
    """The source with its token out of the environment. Raises ConfigError, without the token."""
    token = environ.get(source.token_env, "").strip()
    if not token:
        raise ConfigError(
            f"sources.{source.name}.token_env: the environment variable {source.token_env} is not "
            "set; it has to hold the API token"
        )
    if not token.isascii() or not token.isprintable() or " " in token:
        raise ConfigError(
            f"sources.{source.name}.token_env: what the environment variable {source.token_env} "
            "holds cannot be a token: it has blanks or characters beyond ASCII"
        )
    return replace(source, token=token)


def resolve_tokens(
    sources: Sequence[SourceConfig], environ: Mapping[str, str]
) -> list[SourceConfig]:
    """The same for several sources; a ConfigError names all that have none."""
    ready, refusals = [], []
    for source in sources:
        try:
            ready.append(resolve_token(source, environ))
        except ConfigError as error:
            refusals.append(str(error))
    if refusals:
        raise ConfigError("; ".join(refusals))
    return ready


def resolve_ping_url(notify: NotifyTable, environ: Mapping[str, str]) -> str | None:
    """The address to ping, if there is one. Raises ConfigError, without the address."""
    if notify.ping_url_env is None:
        return notify.ping_url
    found = environ.get(notify.ping_url_env, "").strip()
    if not _is_address(found):
        raise ConfigError(
            f"notify.ping_url_env: the environment variable {notify.ping_url_env} does not hold "
            "an http(s) address"
        )
    return found


def parse_duration(text: str) -> timedelta:
    """`90m`, `24h`, `7d`, `1h30m`, `2y` as a duration; ValueError for anything else."""
    if not DURATION.fullmatch(text):
        raise ValueError(f"not a duration: {text}")
    seconds = sum(float(count) * SECONDS[unit] for count, unit in DURATION_PART.findall(text))
    try:
        return timedelta(seconds=seconds)
    except OverflowError:
        raise ValueError(f"too long a duration: {text}") from None


def _read(file: Path) -> tuple[Place, FileTable]:
    place = Place(file)
    return place, convert(place, read_toml(file), FileTable)


def _read_store(place: Place, tables: FileTable) -> StoreConfig:
    here = place.at("store")
    table = convert(here, tables.store, StoreTable)
    folder = place.file.absolute().parent
    _check_timezone(here.at("timezone"), table.timezone)
    path = folder / Path(table.path).expanduser()
    publish = None if table.publish is None else folder / Path(table.publish).expanduser()
    if publish == path:
        raise here.at("publish").refuse("found the store itself, expected another file")
    return StoreConfig(path, publish, table.timezone)


def _check_timezone(place: Place, name: str) -> None:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        known = sorted(available_timezones())
        if known and name != "UTC":
            meant = hint(name, known)
            raise place.refuse(f'found "{name}", expected a time zone such as UTC{meant}') from None


def _read_notify(place: Place, tables: FileTable) -> NotifyTable:
    here = place.at("notify")
    table = convert(here, tables.notify, NotifyTable)
    if table.ping_url is not None and not _is_address(table.ping_url):
        raise here.at("ping_url").refuse("found something else, expected an http(s) address")
    if table.ping_url_env is not None:
        if table.ping_url is not None:
            raise here.at("ping_url_env").refuse("found beside ping_url; expected only one of them")
        if not VARIABLE_NAME.fullmatch(table.ping_url_env):
            raise here.at("ping_url_env").refuse(
                "expected the NAME of an environment variable (A-Z, 0-9, _)"
            )
    return table


def _is_address(text: str) -> bool:
    try:
        url = urlsplit(text)
    except ValueError:
        return False
    return url.scheme in ("http", "https") and bool(url.hostname)


def _read_source(place: Place, name: str, table: Any) -> SourceConfig:
    if not SOURCE_NAME.fullmatch(name):
        raise place.refuse("expected a name of the characters a-z, 0-9, _ and -")
    if not isinstance(table, dict):
        raise place.refuse(f"found {describe(table)}, expected a table")
    kind = _read_kind(place, table)
    options_type = _list_options()[kind]
    common, own = list_keys(SourceTable), list_keys(options_type)
    check_keys(place, table, (*common, *own))
    keys = convert(place, {k: v for k, v in table.items() if k not in own}, SourceTable)
    options = convert(place, {k: v for k, v in table.items() if k in own}, options_type)
    if not VARIABLE_NAME.fullmatch(keys.token_env):
        raise place.at("token_env").refuse(
            "expected the NAME of an environment variable (A-Z, 0-9, _); what was found is not "
            "shown, for it may be the token itself: put that into a variable"
        )
    config = SourceConfig(
        name,
        kind,
        _read_base_url(place, kind, keys.base_url),
        keys.token_env,
        "",
        options,
        keys.since,
        _read_lookback(place, keys.lookback),
        keys.page_size,
        keys.requests_per_second,
        keys.concurrency,
        keys.payloads,
        keys.file_contents,
        keys.detect_secrets,
    )
    _check_config(place, config)
    return config


def _list_options() -> dict[str, Any]:
    from etl.sources import SOURCES

    return {kind: source.Options for kind, source in SOURCES.items()}


def _read_kind(place: Place, table: dict[str, Any]) -> str:
    kinds = sorted(_list_options())
    if "kind" not in table:
        check_secrets(place, table, ())
        raise place.at("kind").refuse(f"missing; expected one of {join_names(kinds)}")
    kind = table["kind"]
    if kind not in kinds:
        meant = hint(kind, kinds) if isinstance(kind, str) else ""
        raise place.at("kind").refuse(
            f"found {describe(kind, is_shown=True)}, expected one of {join_names(kinds)}{meant}"
        )
    return str(kind)


def _check_config(place: Place, config: SourceConfig) -> None:
    """What a kind checks itself: the module's `check_config`, where it has one.

    Its messages begin with the path of the key.
    """
    from etl.sources import SOURCES

    check = getattr(SOURCES[config.kind], "check_config", None)
    if check is None:
        return
    try:
        check(config)
    except ValueError as error:
        key, _, reason = str(error).partition(": ")
        raise place.at(key).refuse(reason) from None


def _read_base_url(place: Place, kind: str, base_url: str | None) -> str:
    from etl.sources import SOURCES

    here = place.at("base_url")
    found = base_url or SOURCES[kind].BASE_URL
    if found is None:
        raise here.refuse(f"missing; expected the address of your {kind}, https://…")
    if not _is_address(found):
        raise here.refuse("found something else, expected an http(s) address")
    url = urlsplit(found)
    if not _has_possible_port(url):
        raise here.refuse("found an address whose port is not a number from 1 to 65535")
    if url.username or url.password or url.query or url.fragment:
        raise here.refuse(
            "found an address with credentials, a query or a fragment, expected one without: the "
            "token belongs into the variable that token_env names"
        )
    return found.rstrip("/")


def _has_possible_port(url: SplitResult) -> bool:
    try:
        return url.port is None or url.port > 0
    except ValueError:
        return False


def _is_open_to_listeners(base_url: str) -> bool:
    """Whether requests leave the own network unencrypted, as far as the address tells."""
    url = urlsplit(base_url)
    host = url.hostname or ""
    if url.scheme == "https":
        return False
    try:
        address = ip_address(host)
    except ValueError:
        return "." in host and not host.endswith(PRIVATE_SUFFIXES)
    return not (address.is_private or address.is_loopback)


def _read_lookback(place: Place, text: str | None) -> timedelta | None:
    if text is None:
        return None
    try:
        return parse_duration(text)
    except ValueError:
        raise place.at("lookback").refuse(
            f"found {describe(text, is_shown=True)}, "
            'expected a duration such as "90m", "24h" or "7d"'
        ) from None
