"""A record's own secrets, wherever and however they come back."""

import base64
import html
import json
import re
import urllib.parse

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl.redact import make_fingerprint
from etl.redact.echoes import (
    has_echo,
    is_harmless,
    list_base64_cores,
    list_needles,
    mask_echoes,
    seek_secret,
)

KEY = b"k" * 32
SECRETS = ["s3cr3t-Value", 'p@ss/w0rd"&<\\>', "пароль-секрет", "a b c d e f g", "line\nbreak\ttab"]


def mask(secret: str, text: str) -> str:
    return mask_echoes(list_needles(KEY, (secret,)), text)[0]


def mark(secret: str) -> str:
    return make_fingerprint(KEY, secret)


ENCODINGS = {
    "raw": lambda s: s,
    "JSON": lambda s: json.dumps(s),
    "JSON beyond ASCII": lambda s: json.dumps(s, ensure_ascii=False),
    "JSON of PHP": lambda s: json.dumps(s).replace("/", "\\/"),
    "JSON of Go": lambda s: (
        json.dumps(s, ensure_ascii=False)
        .replace("<", "\\u003c")
        .replace(">", "\\u003e")
        .replace("&", "\\u0026")
    ),
    "JSON in JSON": lambda s: json.dumps(json.dumps({"a": s})),
    "HTML": lambda s: html.escape(s),
    "URL": lambda s: urllib.parse.quote(s, safe=""),
    "URL, path": lambda s: urllib.parse.quote(s),
    "URL, query": lambda s: urllib.parse.urlencode({"q": s}),
    "URL, lower case": lambda s: re.sub(
        "%..", lambda found: found[0].lower(), urllib.parse.quote(s, safe="")
    ),
    "base64": lambda s: base64.b64encode(s.encode()).decode(),
    "base64, URL": lambda s: base64.urlsafe_b64encode(s.encode()).decode().rstrip("="),
    "base64 in a URL": lambda s: urllib.parse.quote_plus(base64.b64encode(s.encode()).decode()),
    "basic": lambda s: base64.b64encode(f"user:{s}".encode()).decode(),
    "basic, longer": lambda s: base64.b64encode(f"user1:{s}".encode()).decode(),
    "basic, still longer": lambda s: base64.b64encode(f"user12:{s}@".encode()).decode(),
}


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("secret", SECRETS)
def test_a_secret_is_masked_in_each_usual_encoding(secret: str, encoding: str) -> None:
    text = f"before {ENCODINGS[encoding](secret)} after {secret}."

    masked = mask(secret, text)

    assert mark(secret) in masked
    assert secret not in masked
    assert ENCODINGS[encoding](secret).strip('"') not in masked
    assert masked.startswith("before ")
    assert masked.endswith(f"after {mark(secret)}.")


@given(st.binary(max_size=9), st.text("ab", min_size=8, max_size=20), st.binary(max_size=9))
def test_base64_of_anything_with_a_secret_in_it_has_a_core(
    before: bytes, secret: str, after: bytes
) -> None:
    coded = base64.b64encode(before + secret.encode() + after).decode()

    assert any(core in coded for core, _, _ in list_base64_cores(secret))
    assert mark(secret) in mask(secret, coded)


def test_nothing_of_a_base64_secret_is_left_at_its_ends() -> None:
    secret = "0123456789abc"

    for user, rest in ((b"usr1:", "dXNyMT"), (b"user1:", "dXNlcjE6"), (b"user12:", "dXNlcjEyO")):
        coded = base64.b64encode(user + secret.encode()).decode()
        assert mask(secret, f"Basic {coded}\n") == f"Basic {rest}{mark(secret)}\n"


def test_a_secret_is_known_without_its_scheme_and_blanks() -> None:
    assert mask("Bearer abcdefgh1", "x abcdefgh1 y") == f"x {mark('abcdefgh1')} y"
    assert mask(" abcdefgh1\n", "x abcdefgh1 y") == f"x {mark('abcdefgh1')} y"


def test_the_longest_match_goes_first_and_overlaps_leave_no_rest() -> None:
    needles = list_needles(KEY, ("aaaabbbb", "bbbbcccc", "aaaabbbbcccc-long"))

    assert mask_echoes(needles, "x aaaabbbbcccc-long y") == (f"x {mark('aaaabbbbcccc-long')} y", 1)
    assert mask_echoes(needles, "x aaaabbbbcccc y") == (f"x {mark('aaaabbbb')} y", 1)


def test_short_values_and_fingerprints_are_not_looked_for() -> None:
    assert list_needles(KEY, ("1234567", mark("x"))).forms == ()


@given(st.text(min_size=8, max_size=12), st.text(max_size=30), st.text(max_size=30))
def test_what_is_found_is_what_is_masked(secret: str, before: str, after: str) -> None:
    needles = list_needles(KEY, (secret,))
    text = before + secret + after

    masked, count = mask_echoes(needles, text)

    assert has_echo([seek_secret(secret)], text) == (count > 0)
    if secret.strip() and len(secret.strip()) >= 8:
        assert secret not in masked
        assert count


def test_a_plain_word_of_the_environment_is_harmless_unless_its_name_says_otherwise() -> None:
    """`production` in each line of a log is no secret; `DB_PASSWORD=production` is."""
    assert is_harmless("ENVIRONMENT", "production")
    assert is_harmless("MODE", "PRODUCTION")
    assert not is_harmless("DB_PASSWORD", "production")
    assert not is_harmless("API_KEY", "abcdefghij")
    assert not is_harmless("KEY", "abcdefghij")
    assert not is_harmless("ENVIRONMENT", "Production")
    assert not is_harmless("ENVIRONMENT", "production1")
    assert not is_harmless("ENVIRONMENT", "eu-central")
    assert not is_harmless(None, "production")
