"""Rows of records without their credentials."""

import base64
import json
from typing import Any

import msgspec
import pytest

from etl.records import Column, Flat, Table
from etl.redact import (
    Redacted,
    Redactor,
    make_fingerprint,
    redact_page,
    redact_record,
)
from etl.sources import airflow, b3os, foundry, riza

KEY = b"k" * 32
REDACTOR = Redactor(KEY)
TOKEN = "tok-A1b2C3d4"
decode = msgspec.json.Decoder(riza.records.Execution).decode


def mark(secret: str) -> str:
    return make_fingerprint(KEY, secret)


def make_flat(request: dict[str, Any], response: dict[str, Any] | None = None) -> Flat:
    body = {
        "id": "e1",
        "started_at": "2026-03-01T12:00:00Z",
        "details": {"type": "script", "request": request, "response": response or {}},
    }
    return riza.flatten(decode(json.dumps(body).encode()))


def redact(
    request: dict[str, Any],
    response: dict[str, Any] | None = None,
    redactor: Redactor = REDACTOR,
    extra: str | None = None,
) -> Redacted:
    return redact_record(redactor, riza.tables.EXECUTIONS, make_flat(request, response), extra)


def column(redacted: Redacted, name: str) -> Any:
    names = [each.name for each in riza.tables.EXECUTIONS.columns]
    return redacted.flat.row[names.index(name)]


AUTH = {
    "host": "h",
    "auth": {
        "basic": {"user_id": "me", "password": "basic-pw-1"},
        "bearer": {"token": TOKEN, "secret_id": "s1"},
        "header": {"name": "X-Key", "value": "header-v-1"},
        "query": {"key": "q", "value": "query-v-1"},
    },
}


def test_each_known_place_is_fingerprinted_and_its_labels_stay() -> None:
    redacted = redact({"env": {"A_KEY": "env-v-1", "EMPTY": ""}, "http": {"allow": [AUTH]}})

    env, [allow], _ = redacted.flat.children
    assert env == [("A_KEY", mark("env-v-1"), None), ("EMPTY", "", None)]
    assert allow == (
        "h", mark("me"), mark("basic-pw-1"), None, mark(TOKEN), "s1",
        "X-Key", mark("header-v-1"), None, "q", mark("query-v-1"), None,
    )  # fmt: skip
    assert redacted.count == 6


def test_a_key_that_is_sent_as_the_user_is_a_secret_and_a_plain_user_name_no_echo() -> None:
    key = {"host": "api.example.com", "auth": {"basic": {"user_id": TOKEN, "password": ""}}}
    user = {"host": "b.example.com", "auth": {"basic": {"user_id": "postgres"}}}

    redacted = redact({"http": {"allow": [key, user, {}]}}, {"stdout": f"postgres {TOKEN}"})

    assert [row[1] for row in redacted.flat.children[1]] == [mark(TOKEN), mark("postgres"), None]
    assert column(redacted, "stdout") == f"postgres {mark(TOKEN)}"


@pytest.mark.parametrize("policy", ["redacted", "none"])
def test_a_host_that_came_as_an_address_is_kept_without_its_password(policy: Any) -> None:
    allow = [{"host": "https://me:host-pw-1@h"}, {"host": "h"}, {"host": "me@h"}, {}]

    redacted = redact({"http": {"allow": allow}}, redactor=Redactor(KEY, policy))

    assert [row[0] for row in redacted.flat.children[1]] == [
        f"https://me:{mark('host-pw-1')}@h",
        "h",
        "me@h",
        None,
    ]
    assert redacted.count == 1


def test_the_password_of_a_host_is_looked_for_elsewhere() -> None:
    allow = [{"host": "https://me:host-pw-1@h"}]

    redacted = redact({"http": {"allow": allow}}, {"stdout": "tried host-pw-1"})

    assert column(redacted, "stdout") == f"tried {mark('host-pw-1')}"


@pytest.mark.parametrize("source", [airflow, b3os, foundry, riza])
def test_each_json_column_of_a_source_is_looked_through(source: Any) -> None:
    tables = [each for table in source.TABLES for each in (table, *table.children)]

    roles = {f"{t.name}.{c.name}": c.role for t in tables for c in t.columns if c.type == "JSON"}

    assert [name for name, role in roles.items() if role != "json"] == []


def test_the_list_form_of_an_environment_is_fingerprinted_too() -> None:
    env = [{"name": "A", "value": "v"}, {"name": "B", "secret_id": "s"}]

    assert redact({"env": env}).flat.children[0] == [("A", mark("v"), None), ("B", None, "s")]


def test_the_same_secret_has_the_same_fingerprint_everywhere_and_another_with_another_key() -> None:
    first, second = redact({"env": {"A": TOKEN}}), redact({"env": {"B": TOKEN}})
    other = redact({"env": {"A": TOKEN}}, redactor=Redactor(b"o" * 32))

    assert first.flat.children[0][0][1] == second.flat.children[0][0][1]
    assert first.flat.children[0][0][1] != other.flat.children[0][0][1]


@pytest.mark.parametrize("place", ["code", "stdin", "stdout", "stderr"])
def test_a_secret_that_comes_back_in_a_text_is_masked(place: str) -> None:
    request = {"env": {"A": TOKEN}} | (
        {place: f"x {TOKEN} y"} if place in ("code", "stdin") else {}
    )
    response = {place: f"x {TOKEN} y"} if place in ("stdout", "stderr") else {}

    redacted = redact(request, response)

    assert column(redacted, place) == f"x {mark(TOKEN)} y"
    assert redacted.count == 2


def test_a_secret_that_comes_back_in_args_input_output_and_files_is_masked() -> None:
    request = {
        "env": {"A": TOKEN},
        "args": ["--token", TOKEN, "-v"],
        "input": {"deep": [{TOKEN: f"\n{TOKEN}"}], "n": 1.50},
        "files": [{"path": "p", "contents": f"A={TOKEN}\n"}],
    }
    response = {"output": [TOKEN, {"b64": base64.b64encode(f"me:{TOKEN}".encode()).decode()}]}

    redacted = redact(request, response, Redactor(KEY, file_contents=True))

    assert column(redacted, "args") == ["--token", mark(TOKEN), "-v"]
    assert json.loads(column(redacted, "input")) == {
        "deep": [{mark(TOKEN): f"\n{mark(TOKEN)}"}],
        "n": 1.5,
    }
    assert column(redacted, "output") == f'["{mark(TOKEN)}", {{"b64": "bWU6{mark(TOKEN)}"}}]'
    assert redacted.flat.children[2][0][3] == f"A={mark(TOKEN)}\n"


def test_a_secret_number_that_comes_back_in_json_leaves_it_json() -> None:
    redacted = redact({"env": {"PIN": "12345678"}, "input": {"pin": 12345678, "n": 123}})

    assert json.loads(column(redacted, "input")) == {"pin": mark("12345678"), "n": 123}


def test_json_that_looks_like_a_secret_across_its_structure_stays_json() -> None:
    secret = '1,"b":2,"c'

    redacted = redact({"env": {"A": secret}, "input": {"a": 1, "b": 2, "c": secret}})

    assert json.loads(column(redacted, "input")) == {"a": 1, "b": 2, "c": mark(secret)}


def test_a_secret_that_json_escapes_is_found_in_json() -> None:
    secret = 'p"a/ss\\wö<rd>'
    text = json.dumps({"x": secret}).replace("/", "\\/").replace("<", "\\u003c")
    flat = make_flat({"env": {"A": secret}, "input": 0})
    names = [each.name for each in riza.tables.EXECUTIONS.columns]
    row = list(flat.row)
    row[names.index("input")] = text

    redacted = redact_record(
        REDACTOR, riza.tables.EXECUTIONS, Flat(tuple(row), flat.children), None
    )

    assert json.loads(column(redacted, "input")) == {"x": mark(secret)}


def test_secrets_below_names_in_json_are_replaced_and_looked_for_elsewhere() -> None:
    request = {
        "input": {"config": {"openaiApiKey": TOKEN, "model": "m"}},
        "code": f"use('{TOKEN}')",
    }

    redacted = redact(request, {"output": {"max_tokens": 5}})

    assert json.loads(column(redacted, "input")) == {
        "config": {"openaiApiKey": mark(TOKEN), "model": "m"}
    }
    assert column(redacted, "code") == f"use('{mark(TOKEN)}')"
    assert json.loads(column(redacted, "output")) == {"max_tokens": 5}


def test_json_in_a_text_is_looked_through_as_well() -> None:
    request = {"stdin": '{"user": 1, "password": "pw"}', "args": ['{"api_key": "a"}']}

    redacted = redact(request, {"stdout": ' {"token": "t"}\n{"token": "u"}\n'})

    assert column(redacted, "stdin") == f'{{"user": 1, "password": "{mark("pw")}"}}'
    assert column(redacted, "args") == [f'{{"api_key": "{mark("a")}"}}']
    assert (
        column(redacted, "stdout") == f' {{"token": "{mark("t")}"}}\n{{"token": "{mark("u")}"}}\n'
    )


@pytest.mark.parametrize("first", ["[]\n", "{}", "[ ] ", "\ufeff", "\n\t", '["a"]\n'])
def test_json_behind_a_first_document_is_looked_through_as_well(first: str) -> None:
    stdout = first + '{"access_token": "t"}'

    redacted = redact({}, {"stdout": stdout, "output": {"log": stdout}})

    assert column(redacted, "stdout") == stdout.replace('"t"', f'"{mark("t")}"')
    assert json.loads(column(redacted, "output"))["log"] == column(redacted, "stdout")


def test_a_dictionary_as_python_prints_it_is_looked_through_as_well() -> None:
    quoted = "it's"
    stdout = "{'user': 'u', 'Password': 'it\\'s', \"api_key\": \"it's\", 'pin_token': 1234,"
    stdout += " 'tokens': 5, 'n': 1.50, 'auth': {'k': 'v'}, 'cookie': b'c'}\n"

    redacted = redact({}, {"stdout": stdout, "stderr": "[{'token': ''}, {'monkey': 'm'}]"})

    assert column(redacted, "stdout") == (
        f"{{'user': 'u', 'Password': '{mark(quoted)}', "
        f"\"api_key\": '{mark(quoted)}', "
        f"'pin_token': '{mark('1234')}', 'tokens': 5, 'n': 1.50, 'auth': {{'k': '{mark('v')}'}}, "
        f"'cookie': '{mark('c')}'}}\n"
    )
    assert column(redacted, "stderr") == "[{'token': ''}, {'monkey': 'm'}]"


@pytest.mark.parametrize(
    ("value", "secrets"),
    [
        ({"password": ["a", "b"], "n": 1}, ["a", "b"]),
        ({"auth": ("me", "pw"), "n": 1}, ["me", "pw"]),
        ({"cookies": {"sid": "c", "n": [1]}}, ["c", "1"]),
        ([{"name": "DB_PASSWORD", "value": "d", "value_from": None}, {"value": "e"}], ["d"]),
        ([{"name": "STAGE", "value": "d"}, {"name": "API key", "value": "e"}], ["e"]),
        ({"x": "it's", "token": {"address": "0xA0", "key": "f"}}, ["f"]),
        ({"password": None, "token": True, "secret": "", "auth": {}, "monkey": "m"}, []),
    ],
)
def test_lists_and_dictionaries_below_a_secret_name_go_as_python_prints_them_too(
    value: Any, secrets: list[str]
) -> None:
    expected = str(value)
    for secret in secrets:
        token = repr(secret) if repr(secret) in expected else secret
        expected = expected.replace(token, repr(mark(secret)), 1)

    redacted = redact({}, {"stdout": str(value), "output": {"log": [str(value)]}})

    assert column(redacted, "stdout") == expected
    assert json.loads(column(redacted, "output")) == {"log": [expected]}
    assert redacted.count == 2 * len(secrets)


def test_a_dictionary_as_python_prints_it_is_looked_through_in_a_string_of_json() -> None:
    """Airflow sends the arguments of a trigger so."""
    printed = str({"password": "pw-1", "n": 1})
    output = {"a": {"password": "pw-2"}, "kwargs": printed, "nested": json.dumps({"b": printed})}

    redacted = redact({}, {"output": output}, extra=json.dumps({"details.new": printed}))

    safe = printed.replace("pw-1", mark("pw-1"))
    assert json.loads(column(redacted, "output")) == {
        "a": {"password": mark("pw-2")},
        "kwargs": safe,
        "nested": json.dumps({"b": safe}),
    }
    assert json.loads(redacted.extra or "") == {"details.new": safe}


@pytest.mark.parametrize("piece", ["'auth': [", "'auth': {", "'auth': 'b", "'auth': \"b", "[", "'"])
def test_a_dictionary_that_is_cut_off_is_read_in_no_time(piece: str) -> None:
    """Where the time grew with the square of the text, this would take minutes."""
    stdout = "{'token': 't', " + piece * 10_000

    redacted = redact({}, {"stdout": stdout, "output": stdout})

    assert column(redacted, "stdout").startswith(f"{{'token': '{mark('t')}', ")
    assert json.loads(column(redacted, "output")).startswith(f"{{'token': '{mark('t')}', ")


def test_json_in_a_dictionary_as_python_prints_it_is_looked_through_as_well() -> None:
    stdout = """[{'body': '{"password": "pw"}', 'token': 't', 'n': 1}]"""
    stderr = """['{"api_key": "a"}']"""

    redacted = redact({}, {"stdout": stdout, "stderr": stderr})

    assert column(redacted, "stdout") == (
        f"""[{{'body': '{{"password": "{mark("pw")}"}}', 'token': '{mark("t")}', 'n': 1}}]"""
    )
    assert column(redacted, "stderr") == f"""['{{"api_key": "{mark("a")}"}}']"""


def test_the_password_of_a_connection_string_is_replaced_and_looked_for_elsewhere() -> None:
    code = "connect('postgres://me:pg-pass-1@db/x')"

    redacted = redact({"code": code}, {"stderr": "no: pg-pass-1", "output": "redis://:rd@h"})

    assert column(redacted, "code") == code.replace("pg-pass-1", mark("pg-pass-1"))
    assert column(redacted, "stderr") == f"no: {mark('pg-pass-1')}"
    assert json.loads(column(redacted, "output")) == f"redis://:{mark('rd')}@h"


def test_a_password_that_is_escaped_for_a_url_is_looked_for_without_its_escapes() -> None:
    code = "connect('postgres://me:p%40ss%2Fw0rd@db/x')"

    redacted = redact({"code": code}, {"stderr": "no: p@ss/w0rd"})

    assert column(redacted, "code") == code.replace("p%40ss%2Fw0rd", mark("p%40ss%2Fw0rd"))
    assert column(redacted, "stderr") == f"no: {mark('p@ss/w0rd')}"


def test_the_parts_of_a_secret_are_looked_for_too() -> None:
    env = {
        "DATABASE_URL": "postgres://me:pg-pass-1@db/x",
        "GOOGLE": '{"type": "service_account", "private_key": "-----K\\nEY-----"}',
        "AUTH": "Bearer abcdefgh-1",
    }
    stdout = "pg-pass-1 / -----K\nEY----- / abcdefgh-1 / service_account"

    redacted = redact({"env": env}, {"stdout": stdout})

    assert column(redacted, "stdout") == (
        f"{mark('pg-pass-1')} / {mark('-----K' + chr(10) + 'EY-----')} / {mark('abcdefgh-1')}"
        " / service_account"
    )


def test_a_plain_word_of_the_environment_does_not_blacken_a_log() -> None:
    stdout = "started in production"

    harmless = redact({"env": {"STAGE": "production"}}, {"stdout": stdout})
    secret = redact({"env": {"DB_PASSWORD": "production"}}, {"stdout": stdout})

    assert harmless.flat.children[0] == [("STAGE", mark("production"), None)]
    assert column(harmless, "stdout") == stdout
    assert column(secret, "stdout") == f"started in {mark('production')}"


def test_one_records_secret_is_not_looked_for_in_another() -> None:
    flats = [make_flat({"env": {"A": TOKEN}}), make_flat({"stdin": TOKEN})]

    page = redact_page(REDACTOR, riza.tables.EXECUTIONS, flats, {})

    assert page.flats[1] == flats[1]
    assert page.replaced == 1


def test_unknown_fields_are_redacted_like_the_rest() -> None:
    extra = json.dumps(
        {
            "details.request.http.allow[0].auth.oauth2": {"id": "o-1", "n": 2},
            "details.request.notes": [f"see {TOKEN}", "dsn://a:pw@h"],
            "details.region": "eu",
        }
    )

    redacted = redact({"env": {"A": TOKEN}}, extra=extra)

    assert redacted.extra is not None
    assert json.loads(redacted.extra) == {
        "details.request.http.allow[0].auth.oauth2": {"id": mark("o-1"), "n": mark("2")},
        "details.request.notes": [f"see {mark(TOKEN)}", f"dsn://a:{mark('pw')}@h"],
        "details.region": "eu",
    }


def test_a_record_without_secrets_is_untouched() -> None:
    flat = make_flat({"code": "x = 1", "input": {"a": [1, "é"]}, "args": ["-v"]}, {"stdout": "ok"})

    redacted = redact_record(REDACTOR, riza.tables.EXECUTIONS, flat, '{"details.new": 1}')

    assert redacted == Redacted(flat, '{"details.new": 1}', 0)


def test_full_keeps_everything() -> None:
    flat = make_flat({"env": {"A": TOKEN}, "files": [{"path": "p", "contents": "c"}]})

    redacted = redact_record(Redactor(KEY, "full"), riza.tables.EXECUTIONS, flat, '{"auth": "x"}')

    assert redacted == Redacted(flat, '{"auth": "x"}', 0)


@pytest.mark.parametrize(
    ("redactor", "contents"),
    [
        (REDACTOR, None),
        (Redactor(KEY, file_contents=True), "c"),
        (Redactor(KEY, "full"), "c"),
        (Redactor(KEY, "none", file_contents=True), None),
    ],
)
def test_of_a_file_path_size_and_hash_are_kept_always_and_contents_on_request(
    redactor: Redactor, contents: str | None
) -> None:
    redacted = redact({"files": [{"path": "p", "contents": "c"}, {}]}, redactor=redactor)

    assert redacted.flat.children[2] == [
        ("p", 1, "2e7d2c03a9507ae265ecf5b5356885a53393a2029d241394997265a1a25aefc6", contents),
        (None, None, None, None),
    ]


def test_none_keeps_size_and_keyed_hash_of_each_payload() -> None:
    request = {"env": {"A": TOKEN}, "code": "é", "args": ["a", "b"], "input": {"a": 1}}

    redacted = redact(request, {"stdout": ""}, Redactor(KEY, "none"), '{"x.y": [1], "z": 2}')

    assert column(redacted, "code") == f'{{"bytes":2,"hash":"{mark("é")}"}}'
    assert column(redacted, "args") == [f'{{"bytes":1,"hash":"{mark(arg)}"}}' for arg in "ab"]
    assert json.loads(column(redacted, "input")) == {"bytes": 8, "hash": mark('{"a": 1}')}
    assert (column(redacted, "stdout"), column(redacted, "stdin")) == ("", None)
    assert redacted.flat.children[0] == [("A", mark(TOKEN), None)]
    assert redacted.extra is not None
    assert json.loads(redacted.extra) == {
        "x.y": {"bytes": 3, "hash": mark("[1]")},
        "z": {"bytes": 1, "hash": mark("2")},
    }


@pytest.mark.parametrize("policy", ["redacted", "none"])
def test_a_reason_is_kept_without_its_passwords_also_where_payloads_are_not(policy: Any) -> None:
    """Foundry's is a classification such as `timeout`, from which outcomes are told."""
    table = Table("x.things", (Column("id", "VARCHAR"), Column("why", "VARCHAR", "reason")))

    def redact_reason(text: str) -> Any:
        flat = Flat(("1", text))
        return redact_record(Redactor(KEY, policy), table, flat, None).flat.row[1]

    assert redact_reason("timeout") == "timeout"
    assert redact_reason("no a://u:pw@h, pw") == f"no a://u:{mark('pw')}@h, pw"


def test_tokens_of_a_known_shape_are_found_where_a_source_asks_for_it() -> None:
    token = "ghp_" + "a1B2" * 9
    request, response = {"code": f"t = '{token}'"}, {"stdout": f"basic {base64_of(token)}"}

    asked = redact(request, response, Redactor(KEY, detect_secrets=True))

    assert column(redact(request, response), "code") == f"t = '{token}'"
    assert column(asked, "code") == f"t = '{mark(token)}'"
    assert column(asked, "stdout") == f"basic {mark(token)}"


def base64_of(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def test_secret_columns_may_stand_in_a_parent_too_and_have_payload_beside_them() -> None:
    child = Table(
        "x.notes", (Column("token", "VARCHAR", "secret"), Column("note", "VARCHAR", "text"))
    )
    table = Table(
        "x.things",
        (
            Column("id", "VARCHAR"),
            Column("password", "VARCHAR", "secret"),
            Column("log", "VARCHAR", "text"),
        ),
        children=(child,),
    )
    flat = Flat(("1", "pw-123456", f"{TOKEN} pw-123456"), ([(TOKEN, f"pw-123456 {TOKEN}")],))

    redacted = redact_record(REDACTOR, table, flat, None)

    assert redacted.flat == Flat(
        ("1", mark("pw-123456"), f"{mark(TOKEN)} {mark('pw-123456')}"),
        ([(mark(TOKEN), f"{mark('pw-123456')} {mark(TOKEN)}")],),
    )


def test_a_key_is_not_shown_by_its_redactor() -> None:
    assert KEY.decode() not in repr(REDACTOR)
