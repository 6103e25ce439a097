"""Secrets known by their shape, and lines that may be logged."""

import json

import pytest

from etl.redact import mask_line
from etl.redact.shapes import (
    list_connection_passwords,
    may_hold_shape,
    may_hold_token,
    replace_connection_passwords,
    replace_shapes,
    replace_tokens,
)
from etl.refusals import describe_error_body
from tests.redact.test_echoes import ENCODINGS

# In pieces, so that nobody's scanner takes the tests for a leak.
TOKENS = {
    "AWS": "AKIA" + "IOSFODNN7EXAMPLE",
    "AWS, temporary": "ASIA" + "IOSFODNN7EXAMPLE",
    "GitHub": "ghp_" + "a1B2" * 9,
    "GitHub, app": "ghs_" + "a1B2" * 9,
    "GitHub, fine-grained": "github_pat_" + "11AAAAAAA0_" + "a1B2" * 12,
    "GitLab": "glpat-" + "a1B2c3D4e5F6g7H8i9J0",
    "Slack": "xoxb-" + "1234567890-abcdefGHIJ",
    "Slack, app": "xapp-" + "1-A0123-456-abcdef",
    "Stripe": "sk_live_" + "a1B2" * 6,
    "Stripe, webhook": "whsec_" + "a1B2" * 8,
    "OpenAI": "sk-" + "a1B2" * 12,
    "OpenAI, project": "sk-proj-" + "a1B2_" * 12,
    "Anthropic": "sk-ant-api03-" + "a1B2-" * 12,
    "Google": "AIza" + "a1B2c" * 7,
    "Google, session": "ya29." + "a0AfH6" * 6,
    "Google, client": "GOCSPX-" + "a1B2" * 7,
    "JWT": "eyJhbGciOiJI" + "." + "eyJzdWIiOiIx" + "." + "c2lnbmF0dXJl",
    "SendGrid": "SG." + "a1B2" * 5 + "ab" + "." + "a1B2" * 10,
    "npm": "npm_" + "a1B2" * 9,
    "PyPI": "pypi-" + "AgEIcHlwaS5vcmc" * 5,
    "Hugging Face": "hf_" + "abCD" * 9,
    "DigitalOcean": "dop_v1_" + "0a" * 32,
    "Shopify": "shpat_" + "0a" * 16,
    "Groq": "gsk_" + "a1B2" * 13,
    "Vault": "hvs." + "a1B2" * 8,
}


@pytest.mark.parametrize("issuer", TOKENS)
def test_a_token_of_a_known_shape_is_found_wherever_it_stands(issuer: str) -> None:
    token = TOKENS[issuer]
    found: list[str] = []

    def collect(secret: str) -> str:
        found.append(secret)
        return "<>"

    for before, after in (("key = '", "'"), ("(", ")"), ("", "\n"), ("x=", ", y")):
        assert may_hold_token(before + token + after)
        assert replace_tokens(before + token + after, collect) == f"{before}<>{after}"
    assert found == [token] * 4


def test_the_key_of_an_azure_account_is_found_and_its_name_kept() -> None:
    key = "a1B2" * 21 + "=="

    text = replace_tokens(f"AccountName=x;AccountKey={key};Endpoint=y", lambda secret: "<>")

    assert text == "AccountName=x;AccountKey=<>;Endpoint=y"


PEM = (
    "-----BEGIN RSA PRIVATE" + " KEY-----\nMIIEvQIBADANBgkqhk\nabc=\n-----END RSA PRIVATE KEY-----"
)


@pytest.mark.parametrize(
    "key",
    [
        PEM,
        PEM.replace("RSA ", ""),
        PEM.replace("RSA ", "PGP ").replace("KEY", "KEY BLOCK"),
        PEM.replace("\n", "\\n"),
        PEM.replace("\n", '\\n" + \n"'),
        PEM.partition("-----END")[0].strip(),
        PEM.replace("MIIE", "Proc-Type: 4,ENCRYPTED\n\nMIIE"),
    ],
)
def test_a_private_key_is_found_also_where_nobody_asked_for_tokens(key: str) -> None:
    text = f'k = """{key}""" # and {{the}} rest'

    assert may_hold_shape(text, is_detecting=False)
    assert replace_shapes(text, lambda secret: f"<{len(secret)}>", False) == (
        f'k = """<{len(key)}>""" # and {{the}} rest'
    )


@pytest.mark.parametrize(
    "text",
    [
        "if text.startswith('-----BEGIN PRIVATE KEY-----'):\n    return read_the_key(text, 'x')",
        "-----BEGIN PUBLIC KEY-----\nMIIEvQIBADANBgkqhk\n-----END PUBLIC KEY-----",
        "the PRIVATE KEY is missing, see https://example.com/?v=V",
    ],
)
def test_a_text_that_only_speaks_of_private_keys_stays(text: str) -> None:
    assert replace_shapes(text, lambda secret: "<>", False) == text


@pytest.mark.parametrize("piece", ["-----BEGIN PRIVATE KEY-----", "A ", "-----END", "a"])
def test_a_key_behind_beginnings_of_keys_is_found(piece: str) -> None:
    """Where the time grew with the square of the text, this would take minutes."""
    text = "-----BEGIN PRIVATE KEY-----'" + piece * 20_000 + "'" + PEM

    assert "MIIE" not in replace_shapes(text, lambda secret: "<>", False)


@pytest.mark.parametrize(
    "text",
    [
        "task-management-system-of-the-company",
        "the disk-utilization-percentage-per-hour",
        "import hf_hub; sk-learn; eyJ; gh_pages",
        "def high_light(self): return AKIA",
        "01JM3JQFH1HW3SKDNEJTJJH740",
        "c0ffee00-1234-5678-9abc-def012345678",
        "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    ],
)
def test_words_ids_and_hashes_are_no_tokens(text: str) -> None:
    assert replace_tokens(text, lambda secret: "<>") == text


@pytest.mark.parametrize(
    ("text", "password"),
    [
        ("postgres://user:pa55@db:5432/app", "pa55"),
        ("postgresql+psycopg2://user:pa%40ss@db/app?sslmode=require", "pa%40ss"),
        ("redis://:pa55@cache:6379/0", "pa55"),
        ("amqp://user:p@ss@host/v", "p@ss"),
        ("mongodb+srv://user:pa/55#@host", "pa/55#"),
        ("http:\\/\\/user:pa55@host", "pa55"),
        ("see https://user:pa55@host:8080/x.", "pa55"),
        ('{"dsn": "mysql://root:pa55@db/x"}', "pa55"),
        ("smtp://me@example.com:pa55@smtp.example.com:587", "pa55"),
        ("mysql://admin@server:p@55@server.example.com/db", "p@55"),
        ("https://aws:" + "eyJ" * 500 + "@packages.example.com/simple/", "eyJ" * 500),
        ("a://user:it's-pa55@host", "it's-pa55"),
        ("a://user:p<a>55@host", "p<a>55"),
        ("a://user:$abcDEF1@host", "$abcDEF1"),
        ("a://user:{a1B2c3D4}@host", "{a1B2c3D4}"),
    ],
)
def test_the_password_of_a_connection_string_is_found(text: str, password: str) -> None:
    assert list_connection_passwords(text) == [password]
    masked = replace_connection_passwords(text, lambda secret: "<>")
    assert masked == text.replace(f":{password}@", ":<>@")


@pytest.mark.parametrize(
    "text",
    [
        "http://host:8080/path and someone@example.com",
        "http://host:8080/someone@example.com",
        "https://example.com/@user:name",
        "git@github.com:owner/name.git",
        "postgres://user@host/db",
        "f'postgres://{user}:{password}@{host}'",
        "postgres://user:${DB_PASSWORD}@host",
        "postgres://user:$DB_PASSWORD@host",
        "postgres://user:%s@host",
        "postgres://user:<password>@host",
        "postgres://user:****@host",
        "postgres://user:hmac:0123456789abcdef@host",
        "12:30 @ the office ://",
        "git+ssh://git@github.com:org/repo.git@v1",
        "https://user@host:8080/path@x",
        "'a://user:'+password+'@host'",
        "<td>http://host:8080<td>me@example.com",
        "postgres://user:$password@host",
        "postgres://user:{password2}@host",
    ],
)
def test_what_is_no_password_stays(text: str) -> None:
    assert replace_connection_passwords(text, lambda secret: "<>") == text


@pytest.mark.parametrize("piece", ["://a:b", "://:", "://a:b,", "a://b:c'd", ":a", "://a@b:cc;"])
def test_a_password_behind_a_text_that_is_all_addresses_is_found(piece: str) -> None:
    """Where the time grew with the square of the text, this would take an hour."""
    text = "://" + piece * 20_000 + " a://user:pa55@host"

    assert list_connection_passwords(text)[-1] == "pa55"


@pytest.mark.parametrize(
    ("line", "masked"),
    [
        ("riza: token riza_abc123 refused", "riza: token *** refused"),
        ("retry with Bearer abc.DEF-123456", "retry with Bearer ***"),
        ("Authorization: Basic dXNlcjpwYXNzd29yZA==", "Authorization: Basic ***"),
        (
            "cannot connect to http://u:pw123@proxy:3128",
            "cannot connect to http://u:***@proxy:3128",
        ),
        ('{"password": "hunter2", "user": "u"}', '{"password": "***", "user": "u"}'),
        ("GET /x?api_key=abc123&page=2", "GET /x?api_key=***&page=2"),
        (
            "redirected to https://h:1/?token=a1&page=2",
            "redirected to https://h:1/?token=***&page=2",
        ),
        ('{"password": "three words, and more", "n": 1}', '{"password": "***", "n": 1}'),
        ("{'passwd': 'it is'}", "{'passwd': '***'}"),
        (r'"{\"password\": \"a b\"}"', r'"{\"password\": \"***\"}"'),
        ("a: b: secret=x1, url=y?secret=x2", "a: b: secret=***, url=y?secret=***"),
        ("pass=abc-123 new_token=abc-124 pass=12", "pass=*** new_token=*** pass=12"),
        ("client_secret=abc-123, next", "client_secret=***, next"),
        (f"got {TOKENS['GitHub']} here", "got *** here"),
    ],
)
def test_a_line_shows_no_secret(line: str, masked: str) -> None:
    assert mask_line(line, secrets=("riza_abc123", "")) == masked


@pytest.mark.parametrize(
    "line",
    [
        "errorInstanceId: 9f4c2f1e-0000-4000-8000-000000000001, requestId: req_01JM3JQFH1HW3SKDNE",
        "invalid token: expired",
        "Unexpected token: end of file",
        "HTTP 401: authentication failed: unauthenticated",
        "bearer token missing",
        "max_tokens=4096 is too much",
        "sources.prod.token_env: the environment variable RIZA_API_KEY is not set",
    ],
)
def test_a_line_keeps_what_helps(line: str) -> None:
    assert mask_line(line) == line


def test_a_given_secret_is_masked_in_its_usual_encodings() -> None:
    assert mask_line("x a%2Fb%20c-1 y a/b c-1", secrets=("a/b c-1",)) == "x *** y ***"


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_the_token_is_not_shown_when_an_api_quotes_it_in_another_encoding(encoding: str) -> None:
    token = "riza/abc+dEf9&xY<8>==tok"
    form = ENCODINGS[encoding](token).strip('"')
    body = {"detail": f"the key {form} is not known", "requestId": "req_1"}

    said = describe_error_body(json.dumps(body).encode(), token)

    assert form not in said
    assert "***" in said
    assert said.endswith("is not known, req_1")


def test_the_words_of_an_api_show_no_secret_and_keep_their_ids() -> None:
    body = {
        "errorName": "InvalidCredentials",
        "errorInstanceId": "9f4c2f1e-0000-4000-8000-000000000001",
        "message": f"Basic dXNlcjpwYXNzd29yZA== and {TOKENS['JWT']} refused for redis://:pw@cache",
        "requestId": "req_01JM3JQFH1HW3SKDNE",
    }

    assert describe_error_body(json.dumps(body).encode()) == (
        "InvalidCredentials, 9f4c2f1e-0000-4000-8000-000000000001, "
        "Basic *** and *** refused for redis://:***@cache, req_01JM3JQFH1HW3SKDNE"
    )
