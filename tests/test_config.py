"""etl.toml: what is understood, and what each refusal says."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from etl.cli.init import TEMPLATE
from etl.config import (
    Config,
    SourceTable,
    load_config,
    load_store,
    parse_duration,
    resolve_token,
    select_sources,
)
from etl.errors import ConfigError
from etl.sources import SOURCES
from etl.toml import Place, convert, list_keys

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
RIZA = '[sources.prod]\nkind = "riza"\ntoken_env = "RIZA_API_KEY"\n'
RID = "ri.function-registry.main.function.c26f11c8-cdb3-4f44-9f5d-9816ea1c82da"
FOUNDRY = (
    '[sources.f]\nkind = "foundry"\ntoken_env = "T"\nbase_url = "https://f.test"\n'
    f'resources = ["{RID}"]\nsince = 2026-01-01T00:00:00Z\n'
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "etl.toml"


def load(file: Path, text: str) -> Config:
    file.write_text(text)
    return load_config(file)


def refuse(file: Path, text: str) -> str:
    """The refusal without the name of the file; it is one line."""
    with pytest.raises(ConfigError) as caught:
        load(file, text)
    message = str(caught.value)
    assert message.startswith(f"{file}: ")
    assert "\n" not in message
    return message.removeprefix(f"{file}: ")


def test_the_least_that_is_needed_is_kind_and_token_variable(file: Path) -> None:
    config = load(file, RIZA)

    (source,) = config.sources
    assert (source.name, source.kind, source.base_url) == ("prod", "riza", "https://api.riza.io")
    assert (source.token_env, source.token, source.since) == ("RIZA_API_KEY", "", None)
    assert (source.page_size, source.concurrency, source.payloads) == (100, 4, "redacted")
    assert config.store.path == file.parent / "executions.duckdb"
    assert (config.sync.batch_rows, config.sync.batch_seconds) == (5_000, 1.0)
    assert config.warnings == ()


def test_every_key_is_understood(file: Path) -> None:
    config = load(
        file,
        """
        [store]
        path = "data/runs.duckdb"
        publish = "/srv/copy.duckdb"
        timezone = "Europe/Berlin"
        [sync]
        batch_rows = 500
        batch_seconds = 2
        [notify]
        ping_url = "https://ping.test/abc"
        """
        + RIZA
        + """
        base_url = "http://127.0.0.1:8000/riza/"
        since = 2026-01-01T02:00:00+02:00
        lookback = "36h"
        page_size = 50
        requests_per_second = 2.5
        concurrency = 1
        payloads = "none"
        file_contents = true
        detect_secrets = true
        """,
    )

    (source,) = config.sources
    assert config.store.path == file.parent / "data" / "runs.duckdb"
    assert config.store.publish == Path("/srv/copy.duckdb")
    assert config.store.timezone == "Europe/Berlin"
    assert (config.sync.batch_rows, config.sync.batch_seconds) == (500, 2.0)
    assert config.notify.ping_url == "https://ping.test/abc"
    assert source.base_url == "http://127.0.0.1:8000/riza"
    assert source.since == datetime(2026, 1, 1, tzinfo=UTC)
    assert source.lookback == timedelta(hours=36)
    assert (source.page_size, source.requests_per_second, source.concurrency) == (50, 2.5, 1)
    assert (source.payloads, source.file_contents, source.detect_secrets) == ("none", True, True)


def test_a_kind_has_its_own_keys(file: Path) -> None:
    config = load(file, FOUNDRY + "window_days = 7\n")

    options = config.sources[0].options
    assert (options.resources, options.window_days) == ((RID,), 7.0)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x = ]", "not valid TOML: Invalid value (at line 1, column 5)"),
        (
            "",
            "sources: none is configured; take away the # before one, or add [sources.NAME]",
        ),
        ("sources = 3", "sources: found 3, expected a table"),
        ("[sources]\nprod = 3", "sources.prod: found 3, expected a table"),
        ("[source.prod]", 'source: unknown key; did you mean "sources"?'),
        (
            "[sources.Prod]",
            "sources.Prod: expected a name of the characters a-z, 0-9, _ and -",
        ),
        ("[store]\npaht = 1", 'store.paht: unknown key; did you mean "path"?'),
        ("[store]\npath = 1", "store.path: found 1, expected the path of a file"),
        ('[store]\npath = ""', "store.path: found a text, expected the path of a file"),
        (
            '[store]\npath = "a"\npublish = "./a"',
            "store.publish: found the store itself, expected another file",
        ),
        (
            '[store]\ntimezone = "Europe/Berln"',
            'store.timezone: found "Europe/Berln", expected a time zone such as UTC; '
            'did you mean "Europe/Berlin"?',
        ),
        (
            "[sync]\nbatch_rows = true",
            "sync.batch_rows: found true, expected a whole number from 1 to 1000000",
        ),
        (
            '[notify]\nping_url = "ftp://x"',
            "notify.ping_url: found something else, expected an http(s) address",
        ),
    ],
)
def test_what_is_wrong_with_the_file_is_said_by_key(file: Path, text: str, said: str) -> None:
    assert refuse(file, text) == said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("page_size = 1001", "page_size: found 1001, expected a whole number from 2 to 1000"),
        ("page_size = 2.5", "page_size: found 2.5, expected a whole number from 2 to 1000"),
        ("concurrency = 0", "concurrency: found 0, expected a whole number from 1 to 32"),
        ("requests_per_second = 0", "requests_per_second: found 0, expected a number above 0"),
        (
            "since = 2026-01-01T00:00:00",
            "since: found 2026-01-01 00:00:00, expected a time with its offset, such as "
            "2026-01-01T00:00:00Z",
        ),
        (
            "since = 2026-01-01",
            "since: found 2026-01-01, expected a time with its offset, such as "
            "2026-01-01T00:00:00Z",
        ),
        (
            'lookback = "2 hours"',
            'lookback: found "2 hours", expected a duration such as "90m", "24h" or "7d"',
        ),
        ("lookback = 3600", 'lookback: found 3600, expected a duration such as "90m", "24h" or'),
        (
            'payloads = "ful"',
            'payloads: found "ful", expected "full", "redacted" or "none"',
        ),
        ("base_url = []", "base_url: found a list, expected an http(s) address"),
        ('base_url = "riza.io"', "base_url: found something else, expected an http(s) address"),
        ('base_url = "https://[h"', "base_url: found something else, expected an http(s) addr"),
        ('base_url = "https://h:x"', "base_url: found an address whose port is not a number"),
        ('base_url = "https://h:99999"', "base_url: found an address whose port is not a number"),
        ('base_url = "https://h:0/x"', "base_url: found an address whose port is not a number"),
        (
            'base_url = "https://me:s3cret@h"',
            "base_url: found an address with credentials, a query or a fragment, expected one",
        ),
        (
            'base_url = "https://h/?token=s3cret"',
            "base_url: found an address with credentials, a query or a fragment, expected one",
        ),
        ("resources = []", "resources: unknown key; expected one of base_url, concurrency,"),
    ],
)
def test_what_is_wrong_with_a_source_is_said_by_key(file: Path, text: str, said: str) -> None:
    message = refuse(file, RIZA + text)

    assert message.startswith(f"sources.prod.{said}")
    assert "s3cret" not in message


def test_a_kind_is_needed_and_known(file: Path) -> None:
    kinds = ", ".join(f'"{kind}"' for kind in sorted(SOURCES))

    missing = refuse(file, '[sources.a]\ntoken_env = "T"')
    unknown = refuse(file, '[sources.a]\nkind = "Riza"')
    typed = refuse(file, "[sources.a]\nkind = 5")

    assert missing == f"sources.a.kind: missing; expected one of {kinds}"
    assert unknown == (
        f'sources.a.kind: found "Riza", expected one of {kinds}; did you mean "riza"?'
    )
    assert typed == f"sources.a.kind: found 5, expected one of {kinds}"


def test_a_kind_without_an_address_of_its_own_needs_one(file: Path) -> None:
    said = refuse(file, '[sources.a]\nkind = "airflow"\ntoken_env = "T"')

    assert said == "sources.a.base_url: missing; expected the address of your airflow, https://…"


def test_the_keys_of_a_kind_are_checked_by_its_module(file: Path) -> None:
    wrong = refuse(file, FOUNDRY.replace(RID, "ri.x"))
    number = refuse(file, FOUNDRY.replace(f'["{RID}"]', "[1]"))
    missing = refuse(file, FOUNDRY.replace(f'resources = ["{RID}"]\n', ""))
    endless = refuse(file, FOUNDRY.replace("since = 2026-01-01T00:00:00Z\n", ""))

    assert wrong.startswith("sources.f.resources[0]: expected a RID, such as ")
    assert number == (
        "sources.f.resources: found a list with something else in it, expected a list of resource "
        "RIDs, one at least"
    )
    assert missing == (
        "sources.f.resources: missing; expected a list of resource RIDs, one at least"
    )
    assert endless == (
        "sources.f.since: missing; expected the time where the history begins, such as "
        "2026-01-01T00:00:00Z: Foundry is asked for one window of time after another"
    )


@pytest.mark.parametrize(
    "key", ["token", "api_key", "apiKey", "API-KEY", "password", "client_secret", "Authorization"]
)
def test_a_secret_in_the_file_is_refused_and_not_shown(file: Path, key: str) -> None:
    said = refuse(file, RIZA + f'"{key}" = "s3cret"')

    assert said == (
        f"sources.prod.{key}: a secret does not belong into this file; put it into an environment "
        'variable and write its name: token_env = "NAME"'
    )


@pytest.mark.parametrize("value", ["sk-s3cret", "riza_live_s3cret", "eyJhbGciOi", "Bearer X", ""])
def test_a_secret_in_place_of_its_variable_is_refused_and_not_shown(file: Path, value: str) -> None:
    said = refuse(file, RIZA.replace("RIZA_API_KEY", value))

    assert said.startswith("sources.prod.token_env: expected the NAME of an environment variable")
    assert not value or value not in said


def test_a_missing_token_variable_is_named(file: Path) -> None:
    said = refuse(file, '[sources.prod]\nkind = "riza"')

    assert said == (
        "sources.prod.token_env: missing; expected the NAME of an environment variable, such as "
        "RIZA_API_KEY"
    )


def test_the_token_comes_out_of_the_environment_without_its_line_end(file: Path) -> None:
    (source,) = load(file, RIZA).sources

    ready = resolve_token(source, {"RIZA_API_KEY": "s3cret\n"})

    assert ready.token == "s3cret"
    assert "s3cret" not in repr(ready)


@pytest.mark.parametrize("value", ["two words", "line\nbreak", "schlüssel"])
def test_a_token_that_no_header_can_carry_is_refused_and_not_shown(file: Path, value: str) -> None:
    (source,) = load(file, RIZA).sources

    with pytest.raises(ConfigError) as caught:
        resolve_token(source, {"RIZA_API_KEY": value})

    assert "RIZA_API_KEY holds cannot be a token" in str(caught.value)
    assert value not in str(caught.value)


@pytest.mark.parametrize(
    ("base_url", "count"),
    [
        ("https://riza.io", 0),
        ("http://riza.io", 1),
        ("http://93.184.216.34:8080", 1),
        ("http://127.0.0.1:8080", 0),
        ("http://[::1]:8080", 0),
        ("http://10.1.2.3", 0),
        ("http://localhost:8080", 0),
        ("http://airflow:8080", 0),
        ("http://airflow.internal", 0),
    ],
)
def test_a_token_that_leaves_the_house_unencrypted_is_warned_of(
    file: Path, base_url: str, count: int
) -> None:
    config = load(file, RIZA + f'base_url = "{base_url}"')

    assert len(config.warnings) == count


def test_the_store_can_be_read_where_a_source_is_broken(file: Path) -> None:
    file.write_text('[store]\npath = "a.duckdb"\n[sources.x]\nkind = "nonsense"\n')

    assert load_store(file).path == file.parent / "a.duckdb"


def test_sources_are_selected_by_name_in_the_order_of_the_file(file: Path) -> None:
    config = load(file, RIZA + RIZA.replace("prod", "test"))

    assert [s.name for s in select_sources(config, [])] == ["prod", "test"]
    assert [s.name for s in select_sources(config, ["test", "prod"])] == ["prod", "test"]
    with pytest.raises(ConfigError, match='no source "tset"; did you mean "test"'):
        select_sources(config, ["tset"])


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("30s", timedelta(seconds=30)),
        ("90m", timedelta(minutes=90)),
        ("1h30m", timedelta(minutes=90)),
        ("1.5d", timedelta(hours=36)),
        ("2w", timedelta(days=14)),
        ("2y", timedelta(days=730)),
        ("0s", timedelta()),
    ],
)
def test_durations(text: str, duration: timedelta) -> None:
    assert parse_duration(text) == duration


@pytest.mark.parametrize("text", ["", "5", "h", "-1h", "1q", "1h ", "1e3s", "9" * 30 + "w"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="duration"):
        parse_duration(text)


ODD_VALUES = (None, True, -1, 2.5, float("nan"), "", "x", [], ["x"], {}, {"x": 1}, NOON.date())


@pytest.mark.parametrize("key", list_keys(SourceTable))
def test_any_value_of_a_key_is_taken_or_refused_by_name(key: str) -> None:
    """No value gets through as a bug."""
    table = {"kind": "riza", "token_env": "T"}

    refusals = [try_convert({**table, key: value}) for value in ODD_VALUES]

    said = [message for message in refusals if message is not None]
    assert len(said) > 5
    assert all(message.startswith(f"etl.toml: sources.prod.{key}: found ") for message in said)


def try_convert(table: dict[str, object]) -> str | None:
    """The refusal, if there is one."""
    try:
        convert(Place(Path("etl.toml"), "sources.prod"), table, SourceTable)
    except ConfigError as error:
        return str(error)
    return None


def test_the_template_of_init_is_a_configuration_once_the_marks_are_gone(file: Path) -> None:
    lines = [line.removeprefix("# ") for line in TEMPLATE.splitlines()]

    config = load(file, "\n".join(line for line in lines if re.match(r"\[|[a-z_]+ = ", line)))

    assert {source.kind for source in config.sources} == set(SOURCES)


def test_the_template_of_init_names_every_key() -> None:
    keys = {key for source in SOURCES.values() for key in list_keys(source.Options)}

    missing = [key for key in (*list_keys(SourceTable), *keys) if f"{key} = " not in TEMPLATE]

    assert missing == []
