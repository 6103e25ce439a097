"""JSON text: what stands below a secret name goes, everything else stays as it came."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl.redact import make_fingerprint
from etl.redact.leaves import list_leaves
from etl.redact.names import classify_field, names_secret
from etl.redact.payload import edit_leaves, looks_like_json, redact_names
from tests.redact.test_names import HARMLESS, SECRET

KEY = b"k" * 32


def redact(text: str) -> str:
    return redact_names(KEY, text).text


def mark(secret: str) -> str:
    return make_fingerprint(KEY, secret)


def test_only_the_secret_changes() -> None:
    """Numbers, blanks, key order, escapes and keys that stand twice stay as they came."""
    text = ' {"n": 1.50,\t"b": 123456789012345678901234567890, "a":1 ,"password" : "hunter2",'
    text += ' "e": "\\u00e9", "a":2}\n'

    assert redact(text) == text.replace('"hunter2"', f'"{mark("hunter2")}"')


@pytest.mark.parametrize(
    ("text", "secrets"),
    [
        ('{"password":"a"}', ["a"]),
        ('{"password":12345}', ["12345"]),
        ('{"password":-1.5e9}', ["-1.5e9"]),
        ('{"credentials":{"user":"u","pin":7,"more":[{"x":"y"},["z"]]}}', ["u", "7", "y", "z"]),
        ('{"a":{"b":[{"openaiApiKey":"sk"}]}}', ["sk"]),
        ('{"token":"a","token":"b"}', ["a", "b"]),
        ('{"x":{"password":"a"},"x":1}', ["a"]),
        ('{"pass\\u0077ord":"a"}', ["a"]),
        ('{"password":"a\\"b\\\\"}', ['a"b\\']),
        ('{"body":"{\\"password\\":\\"a\\"}"}', ["a"]),
        ('[{"name":"Authorization","value":"a"},{"name":"Accept","value":"b"}]', ["a"]),
        ('{"value":"a","name":"api_key"}', ["a"]),
        ('{"key":"password","value":["a",{"b":"c"}]}', ["a", "c"]),
        ('{"value":["a",{"b":"c"}],"name":"Authorization"}', ["a", "c"]),
        ('{"value":{"b":[["c"]],"d":1},"name":"password"}', ["c", "1"]),
        ('{"value":{"b":["c"]},"name":"API key","n":"x"}', ["c"]),
        (
            '[{"value":{"value":"a","name":"API key","n":1},"name":"password"}]',
            ["a", "API key", "1"],
        ),
        ('{"value":{"a":"b"},"name":"password', ["b"]),
        ('{"token":{"address":"0xA0","value":"a"}}', ["a"]),
        ('{"credentials":{"token":{"address":"a"}}}', ["a"]),
        ('{"tokens":["a"]}', ["a"]),
        ('{"x":"Server=tcp:db,1433;User ID=me;Password=a;Encrypt=True"}', ["a"]),
        ('{"x":["jdbc:postgresql://h/db?user=u&password=a"]}', ["a"]),
        ('{"x":"jdbc:sqlserver:\\/\\/h;user=sa;PASSWORD=a;"}', ["a"]),
        ('{"x":"password=a host=db\\npassword=b"}', ["a", "b"]),
        ('{"x":"Endpoint=sb://x/;SharedAccessKeyName=n;SharedAccessKey=a="}', ["a="]),
        ('{"x":"EndpointsProtocol=https;Endpoint=x;AccountKey=a=="}', ["a=="]),
        ('{"password":"a"}\n{"password":"b"}', ["a", "b"]),
        ('{"password":"cut o', ["cut o"]),
        ('"password":"a"', ["a"]),
    ],
)
def test_every_leaf_below_a_secret_name_is_found(text: str, secrets: list[str]) -> None:
    edited = redact_names(KEY, text)

    assert names_secret(text)
    assert edited.secrets == secrets
    assert edited.count == len(secrets)
    assert all(mark(secret) in edited.text for secret in secrets)


@pytest.mark.parametrize(
    "text",
    [
        '{"password":null,"secret":true,"token":false,"auth":"","cookies":[],"jwt":{}}',
        '{"max_tokens":100,"tokens":512,"usage":{"prompt_tokens":1},"author":"a","monkey":1}',
        '{"a":"password","b":["token"]}',
        '{"a":"Server=db;Password=${PASSWORD};Pwd=hmac:0123456789abcdef;x=1"}',
        '{"a":"connect(password=pw, host=h)","b":"password=x","c":"host=db user=me"}',
        '[{"name":"Pass rate","value":0.9},{"name":"Auth token","value":3},{"pass":10,"fail":2}]',
        '{"tokenOut":"0xC0","tokenSymbol":"USDC","token":{"address":"0xA0","decimals":6}}',
        '{"x":{"fromToken":{"symbol":"USDC"},"tokens":[{"chainId":1,"address":"0xA0"}]}}',
        '"password"',
        '{"a":"the password: x"}',
        "not json at all",
        '{"a":"{not json: password}"}',
        "",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert redact(text) == text


def test_a_fingerprint_is_not_made_of_a_fingerprint() -> None:
    """A record that was kept redacted is read again after an upgrade: it must say the same."""
    once = redact('{"password":"hunter2"}')

    assert redact(once) == once


def test_deep_nesting_costs_no_recursion() -> None:
    text = "[" * 50_000 + '{"password":"a"}' + "]" * 50_000

    assert redact(text) == text.replace('"a"', f'"{mark("a")}"')


def test_values_that_are_named_last_and_stand_in_each_other_are_read_once() -> None:
    depth = 5_000
    text = '{"value":' * depth + '"a"' + ',"name":"password"}' * depth

    edited = redact_names(KEY, text)

    assert edited.secrets[0] == "a"
    assert edited.count == depth


def test_unknown_fields_are_judged_by_their_whole_path() -> None:
    text = '{"details.request.http.allow[0].auth.oauth2":{"id":"a"},"details.region":"b"}'

    edited = redact_names(KEY, text, classify_field)

    assert edited.secrets == ["a"]


def test_json_in_a_text_is_recognised_by_how_it_begins() -> None:
    assert looks_like_json(' \n{"password": 1}')
    assert looks_like_json('[{"token": 1}]')
    assert looks_like_json('[ null, -1.5e3, {"token": 1}]')
    assert looks_like_json('[7, {"token": 1}]')
    assert not looks_like_json("[07:12] INFO token: 1")
    assert not looks_like_json("{password: 1}")
    assert not looks_like_json('{"price": 1}')


def test_a_masked_number_becomes_a_string() -> None:
    text = '{"n":12345678,"s":"a 12345678 b","12345678":null}'

    edited = edit_leaves(text, lambda part: part.replace("12345678", "***"))

    assert edited == '{"n":"***","s":"a *** b","***":null}'


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)


def list_texts(value: Any) -> list[str]:
    """The strings and numbers inside a JSON value."""
    match value:
        case dict():
            return [text for inner in value.values() for text in list_texts(inner)]
        case list():
            return [text for inner in value for text in list_texts(inner)]
        case bool() | None | "":
            return []
        case _:
            return [value if isinstance(value, str) else json.dumps(value)]


@given(st.data())
def test_arbitrary_json_under_a_secret_name_never_survives(data: st.DataObject) -> None:
    secret, other = data.draw(JSON), data.draw(JSON)
    name = data.draw(st.sampled_from(SECRET))
    value: Any = {"other": other, name: secret, "more": [1, "two"]}
    for outer in data.draw(st.lists(st.sampled_from(HARMLESS), max_size=3)):
        value = data.draw(st.sampled_from([{outer: value}, [value], [other, {outer: value}]]))
    is_ascii, indent = data.draw(st.booleans()), data.draw(st.sampled_from([None, 1]))
    text = json.dumps(value, ensure_ascii=is_ascii, indent=indent)

    edited = redact_names(KEY, text)

    assert names_secret(text)
    assert set(list_texts(secret)) <= set(edited.secrets)
    assert read_all(json.loads(edited.text), name) <= {mark(s) for s in edited.secrets} | {
        "true", "false", "null", '""'
    }  # fmt: skip


def read_all(value: Any, name: str) -> set[str]:
    """All leaves below a key, as strings or JSON text."""
    match value:
        case dict():
            found = [list_marks(v) if k == name else read_all(v, name) for k, v in value.items()]
            return set().union(*found)
        case list():
            return set().union(*[read_all(inner, name) for inner in value])
    return set()


def list_marks(value: Any) -> set[str]:
    match value:
        case dict():
            return set().union(*[list_marks(inner) for inner in value.values()])
        case list():
            return set().union(*[list_marks(inner) for inner in value])
        case str() if value:
            return {value}
    return {json.dumps(value)}


@given(JSON, st.booleans())
def test_json_without_secret_names_is_untouched(value: Any, is_ascii: bool) -> None:
    text = json.dumps({"rows": value}, ensure_ascii=is_ascii)
    edited = redact_names(KEY, text)

    assert edited.secrets or edited.text == text


@given(JSON, st.booleans(), st.sampled_from([None, 2]))
def test_the_leaves_of_json_are_its_strings_numbers_and_keys(
    value: Any, is_ascii: bool, indent: int | None
) -> None:
    text = json.dumps(value, ensure_ascii=is_ascii, indent=indent)

    tokens = [text[leaf.start : leaf.end] for leaf in list_leaves(text)]

    assert [json.loads(token) for token in tokens] == list(list_tokens(value))


def list_tokens(value: Any) -> list[Any]:
    match value:
        case dict():
            return [each for k, v in value.items() for each in (k, *list_tokens(v))]
        case list():
            return [each for inner in value for each in list_tokens(inner)]
    return [value]
