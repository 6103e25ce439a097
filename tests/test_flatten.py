"""From the bytes of a page to the tables and back: only the secrets are gone, and nothing else.

Each secret is planted, so that none can be there by chance, and may come back elsewhere in its
record. Each object of a record may have fields the program does not know.
"""

import base64
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etl.http import Answer
from etl.pending import PendingRows
from etl.redact import Redactor, make_fingerprint, redact_page
from etl.sources import riza
from etl.store.schema import ensure_schema
from etl.store.upsert import Stamp, upsert_rows
from tests.sources.riza_account import NOON
from tests.sources.test_riza_flatten import executions, json_values, read_rows, rebuild, strip

REDACTOR = Redactor(b"k" * 32, file_contents=True)
SECRET_FIELDS = {
    "basic": "password",
    "bearer": "token",
    "header": "value",
    "query": "value",
}
short_values = st.none() | st.booleans() | st.integers(-99, 99) | st.text(max_size=4)
"""Too short to be looked for elsewhere."""
ECHOES: tuple[Callable[[str], str], ...] = (
    lambda secret: f"x {secret} y",
    lambda secret: json.dumps({"a": secret}),
    lambda secret: quote(f"a={secret}", safe=""),
    lambda secret: base64.b64encode(f"a:{secret}".encode()).decode(),
)


@pytest.fixture(scope="module")
def store() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(config={"threads": 1}) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        ensure_schema(connection, riza.TABLES, Path("memory"))
        yield connection


class Planter:
    """Puts secrets and unknown fields into a record; knows what has to be there afterwards."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw
        self.secrets: list[str] = []
        self.unknown: dict[str, Any] = {}

    def make_secret(self) -> str:
        symbols = self.draw(st.sampled_from(["", "/+", '"\\', "<&>", "ß€", " "]))
        self.secrets.append(f"S{len(self.secrets)}3cr{symbols}et-{'Zx9' * 3}")
        return self.secrets[-1]

    def plant(self, request: dict[str, Any]) -> None:
        """A secret in each of the known places that are filled."""
        env = request.get("env")
        if isinstance(env, dict):
            request["env"] = {name: self.make_secret() for name in env}
        for entry in env if isinstance(env, list) else ():
            if "value" in entry:
                entry["value"] = self.make_secret()
        for allow in request.get("http", {}).get("allow", ()):
            for kind, credential in allow.get("auth", {}).items():
                for field in sorted({SECRET_FIELDS[kind], "user_id"} & credential.keys()):
                    credential[field] = self.make_secret()

    def echo(self, details: dict[str, Any]) -> None:
        """One of the secrets somewhere else, in one of the encodings."""
        if not self.secrets or not self.draw(st.booleans()):
            return
        shown = self.draw(st.sampled_from(ECHOES))(self.draw(st.sampled_from(self.secrets)))
        request, response = details["request"], details["response"]
        result = response.get("execution", response)
        place = self.draw(st.sampled_from(["stdout", "code", "output", "args"]))
        if place == "stdout":
            result["stdout"] = shown
        elif place == "code" and "code" in request:
            request["code"] = shown
        elif place == "output" and "output" in response:
            response["output"] = {"rows": [1.5, {shown: shown}]}
        elif "args" in request:
            request["args"] = ["-v", shown]

    def add_unknown(self, value: Any, path: str) -> None:
        """Fields that the program does not know, in objects it does know."""
        if path.endswith((".env", ".input", ".output")) and not isinstance(value, list):
            return
        if isinstance(value, list) and not path.endswith((".args", ".input", ".output")):
            for place, item in enumerate(value):
                self.add_unknown(item, f"{path}[{place}]")
        if isinstance(value, dict):
            for name, inner in list(value.items()):
                self.add_unknown(inner, f"{path}.{name}".removeprefix("."))
            if self.draw(st.integers(0, 7)) == 0:
                is_secret = ".auth" in path or ".env" in path
                value["zNew"] = self.draw(short_values if is_secret else json_values)
                self.unknown[f"{path}.zNew".removeprefix(".")] = value["zNew"]


@st.composite
def planted(draw: st.DrawFn) -> tuple[dict[str, Any], Planter]:
    record = draw(executions)
    planter = Planter(draw)
    if "details" in record:
        planter.plant(record["details"]["request"])
        planter.echo(record["details"])
    planter.add_unknown(record, "")
    return record, planter


def store_page(
    store: duckdb.DuckDBPyConnection, record: dict[str, Any]
) -> tuple[dict[str, Any], Any, str]:
    """The record as the tables have it, its unknown fields, and all that was stored, as text."""
    body = json.dumps({"data": [record]}).encode()
    decoded = riza.pages.decode_page(Answer(body, None)).decoded
    assert not decoded.broken
    flats = [riza.flatten(each) for each in decoded.records]
    extras = {index: extra.decode() for index, extra in decoded.extras.items()}
    safe = redact_page(REDACTOR, riza.tables.EXECUTIONS, flats, extras)
    pending = PendingRows(riza.tables.EXECUTIONS)
    pending.add("executions", safe.flats[0], safe.extras.get(0))
    source = uuid4().hex
    upsert_rows(store, pending, Stamp(source, "run", NOON), {})
    [row] = read_rows(store, source, riza.tables.EXECUTIONS)
    children = {
        child.name: read_rows(store, source, child) for child in riza.tables.EXECUTIONS.children
    }
    for file in children["riza.files"]:
        del file["size_bytes"], file["sha256"]
    [(extra,)] = store.execute(
        "SELECT extra::VARCHAR FROM riza.executions WHERE source = ?", [source]
    ).fetchall()
    return rebuild(row, children), extra, f"{row} {children} {extra}"


def replace_all(value: Any, secrets: list[str]) -> Any:
    """What has to be in the store instead of a record: each secret as its fingerprint."""
    match value:
        case dict():
            return {
                replace_all(key, secrets): replace_all(inner, secrets)
                for key, inner in value.items()
            }
        case list():
            return [replace_all(inner, secrets) for inner in value]
        case str():
            for secret in secrets:
                mark = make_fingerprint(REDACTOR.key, secret)
                for form in (secret, json.dumps(secret)[1:-1], quote(secret, safe="")):
                    value = value.replace(form, mark)
    return value


def hide(path: str, value: Any) -> Any:
    """An unknown field; in an environment or authorisation all of it is secret."""
    if ".auth" not in path and ".env" not in path:
        return value
    match value:
        case dict():
            return {name: hide(path, inner) for name, inner in value.items()}
        case list():
            return [hide(path, inner) for inner in value]
        case None | bool() | "":
            return value
        case str():
            return make_fingerprint(REDACTOR.key, value)
    return make_fingerprint(REDACTOR.key, json.dumps(value))


def without_base64(value: Any) -> Any:
    """The same, texts with base64 of a secret in them told by what stands before it."""
    match value:
        case dict():
            return {without_base64(key): without_base64(inner) for key, inner in value.items()}
        case list():
            return [without_base64(inner) for inner in value]
        case str() if value.startswith("YT"):
            return value[:2]
    return value


def test_only_the_secrets_are_gone(store: duckdb.DuckDBPyConnection) -> None:
    @settings(max_examples=60)
    @given(planted())
    def check(case: tuple[dict[str, Any], Planter]) -> None:
        record, planter = case
        unknown = {path: hide(path, value) for path, value in planter.unknown.items()}

        found, extra, everything = store_page(store, record)

        expected = strip(remove_unknown(replace_all(record, planter.secrets)))
        assert without_base64(strip(found)) == without_base64(expected)
        assert (json.loads(extra) if extra else {}) == unknown
        for secret in planter.secrets:
            assert secret not in everything
            assert json.dumps(secret)[1:-1] not in everything
            assert make_fingerprint(REDACTOR.key, secret) in everything

    check()


def remove_unknown(value: Any) -> Any:
    match value:
        case dict():
            return {k: remove_unknown(inner) for k, inner in value.items() if k != "zNew"}
        case list():
            return [remove_unknown(inner) for inner in value]
    return value


def test_2_000_records_with_3_000_keys_make_no_columns(store: duckdb.DuckDBPyConnection) -> None:
    """What programs name is data: columns are what the API documents, however many keys come."""
    before = store.execute("SELECT count(*) FROM duckdb_columns()").fetchall()
    records = [
        {
            "id": f"many-{n}",
            "started_at": "2026-03-01T12:00:00Z",
            "details": {
                "type": "function",
                "request": {
                    "input": {f"k{n * 7 % 3_000}": n, f"k{n * 11 % 3_000}": n},
                    "env": {f"E{n * 13 % 3_000}": "x"},
                },
                "response": {"output": {f"o{n * 17 % 3_000}": [n]}},
            },
        }
        for n in range(2_000)
    ]
    decoded = riza.pages.decode_page(Answer(json.dumps({"data": records}).encode(), None)).decoded
    flats = [riza.flatten(each) for each in decoded.records]
    pending = PendingRows(riza.tables.EXECUTIONS)

    for flat in redact_page(REDACTOR, riza.tables.EXECUTIONS, flats, {}).flats:
        pending.add("executions", flat, None)
    upsert_rows(store, pending, Stamp("many", "run", NOON), {})

    assert store.execute("SELECT count(*) FROM duckdb_columns()").fetchall() == before
    assert store.execute(
        "SELECT count(*), count(input->>'k14') FROM riza.executions WHERE source = 'many'"
    ).fetchall() == [(2_000, 2)]
    assert store.execute(
        "SELECT count(DISTINCT name) FROM riza.env WHERE source = 'many'"
    ).fetchall() == [(2_000,)]
