"""What is kept of a record that could not be understood."""

import json
from typing import Any

import duckdb
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl.decode import decode_records
from etl.records import Column
from etl.redact import Redactor, make_fingerprint, redact_broken
from etl.redact.quarantine import repair_json
from etl.sources import riza
from etl.tables import build_arrow
from tests.redact.test_names import SECRET
from tests.redact.test_payload import JSON, read_all

KEY = b"k" * 32
REDACTOR = Redactor(KEY)
TOKEN = "tok-A1b2C3d4"


def mark(secret: str) -> str:
    return make_fingerprint(KEY, secret)


def redact(record: Any, redactor: Redactor = REDACTOR) -> Any:
    return json.loads(redact_broken(redactor, json.dumps(record).encode()))


BROKEN = {
    "id": 7,
    "started_at": "2026-03-01T12:00:00Z",
    "details": {
        "type": "tool",
        "request": {
            "env": [{"name": "A", "value": TOKEN}, {"name": "B", "secret_id": "s"}],
            "http": {
                "allow": [
                    {
                        "host": "h",
                        "auth": {
                            "basic": {"user_id": "me", "password": "basic-pw-1"},
                            "bearer": {"token": "bearer-1"},
                            "header": {"name": "X-Key", "value": "header-v-1"},
                            "query": {"key": "q", "value": "query-v-1"},
                        },
                    }
                ]
            },
            "files": [{"path": "p", "contents": f"A={TOKEN}"}],
            "code": f"use('{TOKEN}')",
            "input": {"openaiApiKey": "sk-1", "url": "redis://:rd@h", "n": 1},
        },
        "response": {"execution": {"stdout": f"basic-pw-1 {TOKEN}"}},
    },
}


def test_the_known_places_go_and_their_labels_stay() -> None:
    request = redact(BROKEN)["details"]["request"]

    assert request["env"] == [{"name": "A", "value": mark(TOKEN)}, {"name": "B", "secret_id": "s"}]
    assert request["http"]["allow"][0] == {
        "host": "h",
        "auth": {
            "basic": {"user_id": mark("me"), "password": mark("basic-pw-1")},
            "bearer": {"token": mark("bearer-1")},
            "header": {"name": "X-Key", "value": mark("header-v-1")},
            "query": {"key": mark("q"), "value": mark("query-v-1")},
        },
    }


def test_the_payload_is_redacted_like_that_of_any_record() -> None:
    details = redact(BROKEN)["details"]

    assert details["request"]["files"] == [{"path": "p", "contents": None}]
    assert details["request"]["code"] == f"use('{mark(TOKEN)}')"
    assert details["request"]["input"] == {
        "openaiApiKey": mark("sk-1"),
        "url": f"redis://:{mark('rd')}@h",
        "n": 1,
    }
    assert details["response"]["execution"]["stdout"] == f"{mark('basic-pw-1')} {mark(TOKEN)}"


def test_an_environment_as_a_map_keeps_its_names() -> None:
    assert redact({"env": {"A": TOKEN, "B": ""}}) == {"env": {"A": mark(TOKEN), "B": ""}}


def test_a_word_without_quotes_goes_where_a_secret_is_meant() -> None:
    """Such a record is no JSON, so nobody knows what it is."""
    raw = f'{{"env": {{"K": {TOKEN}, "L": null}}, "password": 0x{TOKEN}, "n": {TOKEN}x, '
    raw += f'"tokens": {TOKEN}y, "auth": true}}'

    kept = json.loads(redact_broken(REDACTOR, raw.encode()))

    assert kept == {
        "env": {"K": mark(TOKEN), "L": None},
        "password": mark("0x" + TOKEN),
        "n": f"{mark(TOKEN)}x",
        "tokens": mark(TOKEN + "y"),
        "auth": True,
    }


def test_a_dictionary_as_python_prints_it_is_looked_through() -> None:
    printed = str({"password": "pw-123456", "env": {"K": TOKEN}})

    assert redact({"id": 7, "stdout": printed}) == {
        "id": 7,
        "stdout": printed.replace("pw-123456", mark("pw-123456")).replace(TOKEN, mark(TOKEN)),
    }


def test_the_policy_is_that_of_the_source() -> None:
    files = {"files": [{"path": "p", "contents": f"A={TOKEN}"}], "env": {"A": TOKEN}}
    kept = redact(files, Redactor(KEY, file_contents=True))
    github = "ghp_" + "a1B2" * 9

    assert kept["files"][0]["contents"] == f"A={mark(TOKEN)}"
    assert redact(BROKEN, Redactor(KEY, "full")) == BROKEN
    assert set(redact(BROKEN, Redactor(KEY, "none"))) == {"bytes", "hash"}
    assert redact({"x": github}) == {"x": github}
    assert redact({"x": github}, Redactor(KEY, detect_secrets=True)) == {"x": mark(github)}


def test_a_redacted_record_can_be_tried_again_and_says_the_same() -> None:
    """After an upgrade the record is understood; its fingerprints are those of any other row."""
    once = redact_broken(REDACTOR, json.dumps(BROKEN).encode())
    mended = json.loads(once) | {"id": "e7"}

    decoded = decode_records([msgspec.Raw(json.dumps(mended).encode())], riza.records.Execution)

    env, allow, files = riza.flatten(decoded.records[0]).children
    assert env == [("A", mark(TOKEN), None), ("B", None, "s")]
    assert allow[0][2] == mark("basic-pw-1")
    assert files == [("p", None, None, None)]
    assert redact_broken(REDACTOR, once.encode()) == once


@pytest.mark.parametrize(
    "raw",
    [
        b'{"a":1,"s":"\\ud800","env":{"A":"tok-A1b2C3d4"}}',
        b'{"a":"\xff","env":{"A":"tok-A1b2C3d4"}}',
        b'{"a":"x\x01\ny","env":{"A":"tok-A1b2C3d4"}}',
        b'{"a":NaN,"env":{"A":"tok-A1b2C3d4"}}',
        b'{"env":{"A":"tok-A1b2C3d4"},"deep":' + b"[" * 5_000 + b"]" * 5_000 + b"}",
        b'{"env":{"A":"tok-A1b2C3d4"',
        b'{"env":{"A":"tok-A1b2C3d4',
        b"{env:1}",
        b"",
    ],
)
def test_whatever_came_is_kept_as_json_that_the_store_takes(raw: bytes) -> None:
    kept = redact_broken(REDACTOR, raw)
    connection = duckdb.connect()
    connection.execute("CREATE TABLE things (record JSON)")

    connection.register("incoming", build_arrow([Column("record", "JSON")], [(kept,)]))
    connection.execute("INSERT INTO things FROM incoming")

    assert connection.execute("SELECT record::VARCHAR FROM things").fetchall() == [(kept,)]
    assert TOKEN not in kept
    assert (mark(TOKEN) in kept) == (TOKEN.encode() in raw)


def test_what_is_json_stays_as_it_came() -> None:
    text = ' {"n": 1.50, "n": 1e999, "s": "\\u00e9"}'

    assert repair_json(text) == text


@given(JSON, st.sampled_from(SECRET), JSON)
def test_no_json_under_a_secret_name_survives(value: Any, name: str, other: Any) -> None:
    kept = redact({"id": other, "x": [{name: value}]})

    leaves = read_all(kept["x"], name)
    assert all(
        leaf.startswith("hmac:") or leaf in ("null", "true", "false", '""') for leaf in leaves
    )
