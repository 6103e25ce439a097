"""Whatever stands below a name that means a secret, the rows of its record do not have it."""

import contextlib
import json
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from etl.redact import Redactor, redact_record
from etl.sources import riza
from etl.sources.riza.records import Execution

REDACTOR = Redactor(b"k" * 32)
MEANINGS = ("password", "secret", "api key", "token", "authorization", "access key", "cookie")
PREFIXES = ("", "db", "openai", "x", "my", "prod eu", "legacy 2")
STYLES: tuple[Callable[[Sequence[str]], str], ...] = (
    "_".join,
    "-".join,
    ".".join,
    lambda words: "_".join(words).upper(),
    lambda words: "-".join(word.title() for word in words),
    lambda words: words[0] + "".join(word.title() for word in words[1:]),
    lambda words: "".join(word.title() for word in words),
)
NAMES = st.builds(
    lambda prefix, meaning, style: style(f"{prefix} {meaning}".split()),
    st.sampled_from(PREFIXES),
    st.sampled_from(MEANINGS),
    st.sampled_from(STYLES),
)
# Longer than anything else in these records, so that it is not found by chance.
SECRETS = st.text(
    st.characters(exclude_categories=("Cs", "Cc", "Z")), min_size=10, max_size=20
) | st.integers(10**11, 10**14)
HIDDEN = st.recursive(
    SECRETS,
    lambda inner: (
        st.lists(inner, min_size=1, max_size=3)
        | st.dictionaries(st.text(max_size=4), inner, min_size=1, max_size=3)
    ),
    max_leaves=4,
)
WRAPPERS: tuple[Callable[[Any], Any], ...] = (
    lambda inner: {"a": 1, "inner": inner, "z": [None, 2.5]},
    lambda inner: [True, inner],
    lambda inner: {"text": json.dumps(inner)},
    lambda inner: {"text": json.dumps(inner, ensure_ascii=False, indent=1)},
)
PLACES = ("input", "output", "stdin", "stdout", "args", "env", "unknown")


def make_record(place: str, document: Any) -> dict[str, Any]:
    """An execution with a document in one of its places; texts have it as JSON."""
    text = json.dumps(document)
    request: dict[str, Any] = {
        "input": {"input": document},
        "stdin": {"stdin": text},
        "args": {"args": ["-v", text]},
        "env": {"env": {"CONFIG": text}},
    }.get(place, {})
    response = {"output": {"output": document}, "stdout": {"stdout": text}}.get(place, {})
    details = {"type": "script", "request": request, "response": response}
    return {"id": "e", "started_at": "2026-03-01T12:00:00Z", "details": details}


def redact(place: str, document: Any) -> Any:
    """All values of the redacted rows."""
    record = msgspec.json.decode(json.dumps(make_record(place, document)), type=Execution)
    extra = json.dumps({"details.request.new": document}) if place == "unknown" else None
    safe = redact_record(REDACTOR, riza.TABLES[0], riza.flatten(record), extra)
    return [safe.flat.row, safe.flat.children, safe.extra]


def list_texts(value: Any) -> list[str]:
    """The strings, keys and numbers inside a value; those of JSON inside a string, too."""
    match value:
        case dict():
            return [text for pair in value.items() for each in pair for text in list_texts(each)]
        case list() | tuple():
            return [text for inner in value for text in list_texts(inner)]
        case str() if value[:1] in ("{", "["):
            with contextlib.suppress(ValueError):
                return [value, *list_texts(json.loads(value))]
    return [str(value)]


@given(NAMES, HIDDEN, st.lists(st.sampled_from(WRAPPERS), max_size=4), st.sampled_from(PLACES))
def test_what_is_below_a_secret_name_is_in_no_row(
    name: str, hidden: Any, wrappers: list[Callable[[Any], Any]], place: str
) -> None:
    document: Any = {"plain": "kept", name: hidden}
    for wrap in wrappers:
        document = wrap(document)

    left = list_texts(redact(place, document))

    secrets = [text for text in list_leaves(hidden) if len(text) >= 10]
    assert secrets
    assert [s for s in secrets for text in left if s in text] == []


def list_leaves(value: Any) -> list[str]:
    match value:
        case dict():
            return [text for inner in value.values() for text in list_leaves(inner)]
        case list():
            return [text for inner in value for text in list_leaves(inner)]
    return [str(value)]


@given(HIDDEN, st.lists(st.sampled_from(WRAPPERS), min_size=1, max_size=3))
def test_the_rest_of_the_document_stays(hidden: Any, wrappers: list[Callable[[Any], Any]]) -> None:
    document: Any = {"plain": "kept", "Secret-Key": hidden}
    for wrap in wrappers:
        document = wrap(document)

    assert "kept" in list_texts(redact("input", document))
