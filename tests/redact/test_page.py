"""The fast look at a page hides nothing that a slow look at each value of it would find."""

import base64
import json
import re
from collections.abc import Callable
from functools import partial
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from etl.records import Column, Flat, Table
from etl.redact import Redacted, Redactor, make_fingerprint, redact_page, shapes
from etl.redact.echoes import list_needles, mask_echoes, seek_secret
from etl.redact.edits import Edited
from etl.redact.literals import looks_like_literal, redact_literals
from etl.redact.names import classify_field, classify_name, find_named, names_secret
from etl.redact.payload import begins_document, edit_leaves, redact_names
from etl.redact.plan import make_plan
from etl.redact.record import Kind, Work, map_payload, redact_typed
from etl.redact.shapes import may_hold_token
from tests.redact.test_names import HARMLESS, SECRET

KEY = b"k" * 32
NOTES = Table(
    "x.notes",
    (
        Column("name", "VARCHAR"),
        Column("value", "VARCHAR", "secret", label="name"),
        Column("text", "VARCHAR", "text"),
        Column("data", "JSON", "json"),
    ),
)
ENV = Table(
    "x.env", (Column("name", "VARCHAR"), Column("value", "VARCHAR", "secret", label="name"))
)
THINGS = Table(
    "x.things",
    (
        Column("id", "VARCHAR"),
        Column("code", "VARCHAR", "text"),
        Column("args", "VARCHAR[]", "text"),
        Column("why", "VARCHAR", "reason"),
        Column("input", "JSON", "json"),
        Column("output", "JSON", "json"),
        Column("token", "VARCHAR", "secret"),
    ),
    children=(ENV, NOTES),
)


def redact_plainly(redactor: Redactor, flat: Flat, extra: str | None) -> Redacted:
    """One record without any first test: every step on every value."""
    plan = make_plan(redactor, THINGS)
    work = Work(flat.row, flat.children, extra)
    redact_typed(KEY, plan, work)
    for step in (replace_names, replace_shapes, replace_echoes):
        map_payload(plan, work, partial(step, redactor, work))
    return Redacted(Flat(work.row, work.children), work.extra, work.count)


def replace_names(redactor: Redactor, work: Work, text: str, kind: Kind) -> str:
    # With a function of its own the whole of a text is read, not only what is below a name.
    if kind == "extra":
        return keep(work, redact_names(KEY, text, lambda path: classify_field(path)))
    if kind == "json":
        return keep(work, redact_names(KEY, text, lambda name: classify_name(name)))
    if not begins_document(text):
        return text
    text = keep(work, redact_literals(KEY, text)) if looks_like_literal(text) else text
    return keep(work, redact_names(KEY, text)) if names_secret(text) else text


def keep(work: Work, edited: Edited) -> str:
    work.count += edited.count
    work.secrets += [seek_secret(secret) for secret in edited.secrets]
    return edited.text


def replace_shapes(redactor: Redactor, work: Work, text: str, kind: Kind) -> str:
    def mark(secret: str) -> str:
        work.count += 1
        work.secrets.append(seek_secret(secret))
        return make_fingerprint(KEY, secret)

    def mask(part: str) -> str:
        return shapes.replace_shapes(part, mark, redactor.detect_secrets)

    return edit_leaves(text, mask) if kind in ("json", "extra") else mask(text)


def replace_echoes(redactor: Redactor, work: Work, text: str, kind: Kind) -> str:
    needles = list_needles(KEY, tuple([each.secret for each in work.secrets]))

    def mask(part: str) -> str:
        safe, count = mask_echoes(needles, part)
        work.count += count
        return safe

    return edit_leaves(text, mask) if kind in ("json", "extra") else mask(text)


VALUES = (
    *("", "7", "production", "PRODUCTION", "short", "eu-central-1", "tok_0123456789abcdef"),
    *("Bearer abc-DEF-123456", "p@ss/w0rd+&<\\>\"'", "пароль-секрет", " spaced out ", "12345678"),
    *("postgres://me:pg-pass-1@db/x", '{"api_key":"inner-key-1","n":1}', "ghp_" + "a1B2" * 9),
    *("-----BEGIN\nKEY-----", "XQKVWYMGJZ-XQKVWYMGJZ", "hmac:0123456789abcdef"),
)
ENCODINGS: tuple[Callable[[str], str], ...] = (
    str,
    json.dumps,
    lambda text: json.dumps(json.dumps({"password": text})),
    lambda text: quote(text, safe=""),
    lambda text: base64.b64encode(text.encode()).decode(),
    lambda text: base64.urlsafe_b64encode(f"me:{text}".encode()).decode(),
    lambda text: f"amqp://u:{text}@host",
    lambda text: text[:-1],
    str.upper,
)
NOISE = (
    *("", "INFO 2026-03-01T00:00:00Z fetched page=7", "def f(token):\n    return '@'", "\0", "\\"),
    *("-----BEGIN PRIVATE KEY-----", "MIIEvQIBADANBgkqhkiG9w0B", "-----END PRIVATE KEY-----"),
    *("größer, 東京 🚀", "me@example.com", "a://b", "XQKVWYMGJZ", "{'", "[7,"),
)
PIECES = st.sampled_from(NOISE) | st.builds(
    lambda value, encode: encode(value), st.sampled_from(VALUES), st.sampled_from(ENCODINGS)
)
SENTENCES = st.lists(PIECES, max_size=4).map(" ".join)
KEYS = st.sampled_from([*SECRET[:20], *HARMLESS[:20], "name", "value", "rows"])
DOCUMENTS = st.recursive(
    SENTENCES
    | st.integers(0, 10**8)
    | st.dictionaries(KEYS, st.sampled_from(VALUES), min_size=1, max_size=2),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=5,
)
WRITERS: tuple[Callable[[Any], str], ...] = (
    json.dumps,
    lambda document: json.dumps(document, ensure_ascii=False),
    lambda document: json.dumps(document).replace("/", "\\/").replace("<", "\\u003c"),
    lambda document: re.sub(r'"[^"\\]*"', escape_letters, json.dumps(document)),
)


def escape_letters(token: re.Match[str]) -> str:
    """A JSON string with most of its letters escaped, as no encoder would write it.

    Tokens that are known by their shape only are not found so.
    """
    if may_hold_token(token[0]):
        return token[0]
    return re.sub("[a-z]", lambda letter: f"\\u{ord(letter[0]):04x}", token[0])


JSONS = st.none() | st.builds(
    lambda document, write: write(document), DOCUMENTS, st.sampled_from(WRITERS)
)
TEXTS = st.none() | SENTENCES | JSONS | DOCUMENTS.map(repr)
SECRETS = st.none() | st.sampled_from(VALUES)
NAMES = st.sampled_from(["STAGE", "DB_PASSWORD", "API_KEY", "url"])
CHILDREN = st.tuples(
    st.lists(st.tuples(NAMES, SECRETS), max_size=2),
    st.lists(st.tuples(NAMES, SECRETS, TEXTS, JSONS), max_size=2),
)
ROWS = st.tuples(
    st.just("1"), TEXTS, st.none() | st.lists(TEXTS, max_size=2), TEXTS, JSONS, JSONS, SECRETS
)
FLATS = st.builds(Flat, ROWS, st.just(()) | CHILDREN)
EXTRAS = st.dictionaries(
    st.sampled_from(["details.env.X", "details.new", "usage.tokens", "region"]),
    DOCUMENTS,
    min_size=1,
    max_size=2,
).map(json.dumps)


def make_thing(token: str, json_text: str, *notes: tuple[str | None, ...]) -> Flat:
    return Flat(("1", None, None, None, json_text, None, token), ([], list(notes)))


@pytest.mark.parametrize("is_detecting", [False, True])
@example([(make_thing("tok_0123456789abcdef", r'{"a":"tok\u005f0123456789abcdef"}'), None)])
@example([(make_thing("пароль-секрет", r'{"a":"\u043fароль-секрет"}'), None)])
@example([(make_thing("", "{}", ("url", None, None, r'"{\"password\":\"x\"}"')), None)])
@settings(max_examples=100)
@given(records=st.lists(st.tuples(FLATS, st.none() | EXTRAS), max_size=4))
def test_a_page_is_redacted_as_each_value_of_its_records_alone(
    is_detecting: bool, records: list[tuple[Flat, str | None]]
) -> None:
    redactor = Redactor(KEY, detect_secrets=is_detecting)
    flats = [flat for flat, _ in records]
    extras = {index: extra for index, (_, extra) in enumerate(records) if extra is not None}

    page = redact_page(redactor, THINGS, flats, extras)

    plain = [redact_plainly(redactor, flat, extra) for flat, extra in records]
    assert page.flats == [each.flat for each in plain]
    assert page.extras == {index: plain[index].extra for index in extras}
    assert page.replaced == sum(each.count for each in plain)


@settings(max_examples=150)
@given(st.lists(JSONS.map(lambda text: text or ""), max_size=4))
def test_texts_searched_as_one_are_told_apart(jsons: list[str]) -> None:
    assert sorted(find_named(jsons)) == [
        place for place, text in enumerate(jsons) if names_secret(text)
    ]
