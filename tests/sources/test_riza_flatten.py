"""Executions as rows: nothing but empty containers is lost on the way into the tables and back."""

import json
import string
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import duckdb
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etl.pending import PendingRows
from etl.records import Table, from_epoch_us
from etl.sources import riza
from etl.store.schema import ensure_schema
from etl.store.upsert import Stamp, upsert_rows
from tests.sources.riza_account import NOON

PAGES = Path(__file__).parent.parent / "pages" / "riza"
BODY = b'{"id": "e", "started_at": "2026-03-01T12:00:00Z", "details": {"request": {"input": %s}}}'
decode = msgspec.json.Decoder(riza.records.Execution).decode

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
numbers = st.integers(-(2**63), 2**63 - 1)
names = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters=string.ascii_letters), max_size=8
)
"""No word among them, as none may name a secret: Hypothesis also draws words that the code has."""
json_values = st.recursive(
    st.none() | st.booleans() | numbers | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=5,
)
times = st.datetimes(timezones=st.sampled_from([NOON.tzinfo])).map(lambda t: t.isoformat())


def objects(
    required: dict[str, st.SearchStrategy[Any]], **optional: st.SearchStrategy[Any]
) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(required, optional=optional)


def secret_of(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return objects({}, **fields)


LANGUAGES = st.sampled_from(["python", "javascript", "typescript", "ruby", "php"])
RESULT = {
    "id": texts,
    "exit_code": numbers,
    "stdout": texts,
    "stderr": texts,
    "duration": numbers,
}
limits = objects({}, execution_timeout=numbers, memory_size=numbers)
files = st.lists(objects({}, path=texts, contents=texts), max_size=2)


def http_of(**auth: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    allow = objects({}, host=texts, auth=objects({}, **auth))
    return objects({}, allow=st.lists(allow, max_size=2))


http = http_of(
    basic=secret_of(user_id=texts, password=texts),
    bearer=secret_of(token=texts),
    header=secret_of(name=texts, value=texts),
    query=secret_of(key=texts, value=texts),
)
http_tool = http_of(
    basic=secret_of(user_id=texts, password=texts, secret_id=texts),
    bearer=secret_of(token=texts, secret_id=texts),
    query=secret_of(key=texts, value=texts, secret_id=texts),
)
env = st.dictionaries(texts, texts, max_size=3)
env_tool = st.lists(objects({"name": texts}, value=texts, secret_id=texts), max_size=3)
with_execution = objects(
    {
        "output": json_values,
        "output_status": st.sampled_from(["error", "json_serialization_error", "valid"]),
        "execution": objects(RESULT),
    }
)
code = {"language": LANGUAGES, "code": texts}
shared = {"env": env, "files": files, "http": http, "limits": limits, "runtime_revision_id": texts}
details = st.one_of(
    objects(
        {
            "type": st.just("tool"),
            "tool_id": texts,
            "request": objects(
                {}, env=env_tool, http=http_tool, input=json_values, revision_id=texts
            ),
            "response": with_execution,
        }
    ),
    objects(
        {
            "type": st.just("function"),
            "request": objects(code, input=json_values, **shared),
            "response": with_execution,
        }
    ),
    objects(
        {
            "type": st.just("script"),
            "request": objects(code, args=st.lists(texts, max_size=3), stdin=texts, **shared),
            "response": objects(RESULT),
        }
    ),
)
executions = objects(
    {
        "id": texts,
        "language": LANGUAGES,
        "started_at": times,
        "duration": numbers,
        "exit_code": numbers,
    },
    details=details,
)
"""Every execution that is valid under the API's schema, as JSON."""


@pytest.fixture(scope="module")
def store() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(config={"threads": 1}) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        ensure_schema(connection, riza.TABLES, Path("memory"))
        yield connection


def read_back(store: duckdb.DuckDBPyConnection, record: dict[str, Any]) -> dict[str, Any]:
    """Store one execution as a source of its own, and make it again from nothing but the tables."""
    source = uuid4().hex
    pending = PendingRows(riza.tables.EXECUTIONS)
    pending.add("executions", riza.flatten(decode(json.dumps(record).encode())), None)
    upsert_rows(store, pending, Stamp(source, "run", NOON), {})
    [row] = read_rows(store, source, riza.tables.EXECUTIONS)
    children = {
        child.name: read_rows(store, source, child) for child in riza.tables.EXECUTIONS.children
    }
    return rebuild(row, children)


def read_rows(store: duckdb.DuckDBPyConnection, source: str, table: Table) -> list[dict[str, Any]]:
    columns = [column.name for column in table.columns]
    picked = ", ".join("epoch_us(started_at)" if c == "started_at" else f'"{c}"' for c in columns)
    order = "ORDER BY position" if table in riza.tables.EXECUTIONS.children else ""
    rows = store.execute(
        f"SELECT {picked} FROM {table.name} WHERE source = ? {order}", [source]
    ).fetchall()
    return [dict(zip(columns, row, strict=True)) for row in rows]


def rebuild(row: dict[str, Any], children: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    request = {
        "language": row["request_language"],
        "code": row["code"],
        "args": row["args"],
        "stdin": row["stdin"],
        "revision_id": row["revision_id"],
        "runtime_revision_id": row["runtime_revision_id"],
        "input": None if row["input"] is None else json.loads(row["input"]),
        "limits": {
            "execution_timeout": row["execution_timeout_s"],
            "memory_size": row["memory_size_mib"],
        },
        "files": [{name: f[name] for name in ("path", "contents")} for f in children["riza.files"]],
        "env": children["riza.env"],
        "http": {"allow": [rebuild_allow(allow) for allow in children["riza.http_allow"]]},
    }
    if row["env_form"] == "map":
        request["env"] = {entry["name"]: entry["value"] for entry in children["riza.env"]}
    result = {name: row[f"response_{name}"] for name in ("id", "exit_code")}
    result |= {"duration": row["response_duration_ms"]}
    result |= {name: row[name] for name in ("stdout", "stderr")}
    response = result
    if row["type"] != "script":
        output = None if row["output"] is None else json.loads(row["output"])
        response = {"output": output, "output_status": row["output_status"], "execution": result}
    return {
        "id": row["id"],
        "started_at": from_epoch_us(row["started_at"]).isoformat(),
        "language": row["language"],
        "duration": row["duration_ms"],
        "exit_code": row["exit_code"],
        "details": {
            "type": row["type"],
            "tool_id": row["tool_id"],
            "request": request,
            "response": response,
        },
    }


def rebuild_allow(row: dict[str, Any]) -> dict[str, Any]:
    auth: dict[str, dict[str, Any]] = {"basic": {}, "bearer": {}, "header": {}, "query": {}}
    for column, value in row.items():
        kind, _, field = column.partition("_")
        if kind in auth:
            auth[kind][field] = value
    return {"host": row["host"], "auth": auth}


def strip(value: Any, path: str = "") -> Any:
    """Without what says nothing: nulls and empty containers, but for what programs gave and got."""
    if path in (".details.request.input", ".details.response.output"):
        return value
    if isinstance(value, dict):
        inner = {key: strip(item, f"{path}.{key}") for key, item in value.items()}
        return {key: item for key, item in inner.items() if item not in (None, {}, [])}
    if isinstance(value, list):
        return [strip(item) for item in value]
    return value


def test_any_valid_execution_can_be_read_back_from_the_tables(
    store: duckdb.DuckDBPyConnection,
) -> None:
    @settings(max_examples=50)
    @given(executions)
    def check(record: dict[str, Any]) -> None:
        assert strip(read_back(store, record)) == strip(record)

    check()


@pytest.mark.parametrize("index", range(4))
def test_the_documented_executions_can_be_read_back(
    store: duckdb.DuckDBPyConnection, index: int
) -> None:
    record = json.loads((PAGES / "list.json").read_text())["data"][index]

    found = strip(read_back(store, record))

    expected = strip(record)
    expected["started_at"] = found["started_at"]
    assert found == expected


def flatten(details: Any) -> Any:
    body = {"id": "e1", "started_at": "2026-03-01T12:00:00Z", "details": details}
    flat = riza.flatten(decode(json.dumps(body).encode()))
    names = [column.name for column in riza.tables.EXECUTIONS.columns]
    return dict(zip(names, flat.row, strict=True)), flat.children


def test_what_programs_gave_and_got_stays_the_text_it_was() -> None:
    text = b'{"b":1.50, "a": 1e400, "b": [100000000000000000000000]}'

    flat = riza.flatten(decode(BODY % text))

    assert text.decode() in flat.row


def test_text_that_is_no_unicode_is_mended() -> None:
    body = BODY % b'"\xff"'

    assert '"\N{REPLACEMENT CHARACTER}"' in riza.flatten(decode(body)).row


@pytest.mark.parametrize(
    ("details", "has_http", "env_form", "children"),
    [
        (None, False, None, ()),
        ({}, False, None, ()),
        ({"type": "new kind"}, False, None, ()),
        ({"request": {"env": {}}}, False, "map", ()),
        ({"request": {"env": []}}, False, "list", ()),
        ({"request": {"http": {}}}, True, None, ([], [], [])),
        ({"request": {"files": [{}]}}, False, None, ([], [], [(None, None, None, None)])),
        ({"request": {"env": {"A": None}}}, False, "map", ([("A", None, None)], [], [])),
    ],
)
def test_requests_that_say_little(
    details: Any, has_http: bool, env_form: str | None, children: Any
) -> None:
    row, found = flatten(details)

    assert (row["has_http"], row["env_form"], found) == (has_http, env_form, children)


def test_every_place_for_a_credential_is_a_column_that_is_redacted() -> None:
    secret = {
        f"{table.name}.{column.name}"
        for table in riza.tables.EXECUTIONS.children
        for column in table.columns
        if column.role == "secret"
    }

    assert secret >= {
        "riza.env.value",
        "riza.http_allow.basic_user_id",
        "riza.http_allow.basic_password",
        "riza.http_allow.bearer_token",
        "riza.http_allow.header_value",
        "riza.http_allow.query_value",
    }
