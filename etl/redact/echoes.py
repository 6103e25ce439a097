"""Secrets that come back: in output, logs, code or files of the record that holds them.

A secret is looked for as it is and as the usual encodings show it: escaped in JSON, escaped in a
URL, in base64 (also in the middle of it: `user:password` begins anywhere).
"""

import html
import re
from binascii import b2a_base64
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import quote, quote_plus, unquote

import msgspec

from etl.redact.fingerprint import (
    CACHED_CHARS_MAX,
    CACHED_SECRETS_MAX,
    is_fingerprint,
    make_fingerprint,
)
from etl.redact.names import Secrecy, classify_name, split_words

ECHO_LEAST_CHARS = 8
"""Shorter values come back by chance."""

HARMLESS_MOST_CHARS = 32

_plain_characters = re.compile(r"[A-Za-z0-9_.~-]*").fullmatch
_number_characters = re.compile(r"[0-9eE.+-]*").fullmatch
_across_structure = re.compile(r"[\s\"\\,:\[\]{}]").search
_escaped_in_json = re.compile(r"[^ !#-.0-\[\]-~]").search
_harmless_word = re.compile(r"[a-z]+|[A-Z]+").fullmatch
_is_base64 = re.compile(r"[A-Za-z0-9+/_-]").match


Probe = tuple[str, str]
"""One form of a secret, a rare letter of it first: looking for that costs a fraction."""

_RARE_LETTERS = "XQKVWYMGJZ"
"""What logs, code and JSON have least, the rarest first."""


class Sought(msgspec.Struct, frozen=True, gc=False):
    """A secret that may come back; one of its `probes` is in each text in which it does.

    `is_escaped`: JSON may write it otherwise than text, in ways that have no end.
    """

    secret: str
    probes: tuple[Probe, ...]
    is_escaped: bool


class Needle(NamedTuple):
    """One form of a secret, and what takes its place: its fingerprint, or stars.

    `before` and `behind`: how many letters at its ends hold some bits of it, too (base64).
    """

    text: str
    replacement: str
    before: int = 0
    behind: int = 0


class Needles(NamedTuple):
    """What to replace in one record: the forms of its `secrets`.

    `is_escaped`: JSON may write one of the secrets otherwise. `is_simple`: what looks like one of
    the secrets in JSON is inside a string, not across its structure.
    """

    secrets: tuple[Sought, ...]
    forms: tuple[Needle, ...]
    is_escaped: bool
    is_simple: bool


def is_harmless(label: str | None, value: str) -> bool:
    """Whether a value may come back: `ENVIRONMENT=production` would blacken half of a log.

    It is one plain word without digits, in one case, and its name says nothing of a secret.
    """
    return label is not None and is_word(value) and is_plain_name(label)


def is_word(value: str) -> bool:
    """Whether a value is one plain word without digits, in one case."""
    return len(value) <= HARMLESS_MOST_CHARS and _harmless_word(value) is not None


@lru_cache(maxsize=1_024)
def is_plain_name(label: str) -> bool:
    """Whether a name says nothing of a secret."""
    return classify_name(label) is Secrecy.PLAIN and _OPENING_WORDS.isdisjoint(split_words(label))


_OPENING_WORDS = frozenset({"key", "keys", "user", "id", "pin", "code", "salt", "seed"})


@lru_cache(maxsize=1_024)
def list_needles(key: bytes, secrets: tuple[str, ...]) -> Needles:
    """The forms of some secrets with what takes their place."""
    forms: dict[str, Needle] = {}
    is_simple = True
    for secret in reversed(secrets):
        for part in list_parts(secret):
            for needle in make_needles(part, make_fingerprint(key, part)):
                forms[needle.text] = needle
            is_simple = is_simple and not (_across_structure(part) or _number_characters(part))
    sought = tuple([seek_secret(secret) for secret in secrets])
    is_escaped = any([each.is_escaped for each in sought])
    return Needles(sought, tuple(forms.values()), is_escaped, is_simple)


def make_needles(secret: str, replacement: str) -> list[Needle]:
    """The forms of one secret, with the same in place of each."""
    forms = [Needle(form, replacement) for form in list_forms(secret)]
    cores = list_base64_cores(secret)
    return forms + [Needle(core, replacement, before, behind) for core, before, behind in cores]


def seek_secret(secret: str) -> Sought:
    """What to look for where a secret may come back."""
    return _seek_cached(secret) if len(secret) <= CACHED_CHARS_MAX else make_sought(secret)


def make_sought(secret: str) -> Sought:
    """The same, made anew. Many secrets are of one record only, so this must cost little."""
    forms: list[str] = []
    parts = list_parts(secret)
    for part in parts:
        forms += list_forms(part)
        for core in _encode_base64(part):
            forms.append(core)
            if "+" in core or "/" in core:
                forms += _write_base64_in_urls(core)
    is_escaped = bool(parts) and ("%" in secret or _escaped_in_json(secret) is not None)
    return Sought(secret, tuple([(_find_rare_letter(form), form) for form in forms]), is_escaped)


def _find_rare_letter(form: str) -> str:
    for letter in _RARE_LETTERS:
        if letter in form:
            return letter
    return form[0]


_seek_cached = lru_cache(maxsize=CACHED_SECRETS_MAX)(make_sought)


def list_parts(secret: str) -> list[str]:
    """The pieces of a secret that are secrets themselves: `Bearer x` is known by `x` alone.

    What is escaped for a URL comes back without its escapes.
    """
    if _plain_characters(secret):
        return [secret] if len(secret) >= ECHO_LEAST_CHARS else []
    stripped = secret.strip()
    pieces = {secret: None, stripped: None}
    scheme, _, rest = stripped.partition(" ")
    if scheme.lower() in ("bearer", "basic", "token", "digest", "apikey"):
        pieces[rest.strip()] = None
    if "%" in stripped:
        pieces[unquote(stripped)] = None
    return [p for p in pieces if len(p) >= ECHO_LEAST_CHARS and not is_fingerprint(p)]


def list_forms(secret: str) -> list[str]:
    """A secret as text, in JSON (also in a string of JSON), URL and HTML, where they differ."""
    if _plain_characters(secret):
        return [secret]
    text = secret.encode("utf-8", "replace").decode()
    in_json = _write_json(text)
    in_ascii = _escape_ascii(in_json)
    forms = [secret, in_json, in_ascii]
    forms += [form.replace("/", "\\/") for form in (in_json, in_ascii)]
    forms += [_escape_html(form) for form in (in_json, in_ascii)]
    forms += [_write_json(form) for form in (in_json, in_ascii)]
    forms.append(html.escape(text))
    for in_url in (quote(text, safe=""), quote(text), quote_plus(text), quote(text, safe=_MILD)):
        forms += (in_url, re.sub(r"%[0-9A-F]{2}", lambda match: match[0].lower(), in_url))
    return list(dict.fromkeys(forms))


_MILD = "!'()*;:@&=+$,/?"
"""What encodeURI and lenient clients leave as it is."""


def _write_json(text: str) -> str:
    return msgspec.json.encode(text).decode()[1:-1]


def _escape_ascii(text: str) -> str:
    """JSON text with \\u escapes for what is beyond ASCII, as most encoders write it."""
    if text.isascii():
        return text
    units = [
        character
        if character < "\x80"
        else "".join(
            f"\\u{unit:04x}"
            for unit in memoryview(character.encode("utf-16-le", "surrogatepass")).cast("H")
        )
        for character in text
    ]
    return "".join(units)


def _escape_html(text: str) -> str:
    """JSON text as encoders write it that keep it safe inside HTML."""
    return re.sub(r"[<>&]", lambda match: f"\\u{ord(match[0]):04x}", text)


def list_base64_cores(secret: str) -> list[tuple[str, int, int]]:
    """What base64 of any text with the secret in it must contain: one core per alignment.

    With it, how many letters before and behind it also hold bits of the secret.
    """
    size = len(secret.encode("utf-8", "replace"))
    return [
        (form, int(padding > 0), int((padding + size) % 3 > 0))
        for padding, core in enumerate(_encode_base64(secret))
        for form in (core, *_write_base64_in_urls(core))
    ]


def _encode_base64(secret: str) -> tuple[str, str, str]:
    """The letters of base64 that hold bits of the secret only, behind 0, 1 and 2 other bytes."""
    raw = secret.encode("utf-8", "replace")
    bits = 8 * len(raw)
    return (
        b2a_base64(raw)[: bits // 6].decode(),
        b2a_base64(b"\0" + raw)[2 : (8 + bits) // 6].decode(),
        b2a_base64(b"\0\0" + raw)[3 : (16 + bits) // 6].decode(),
    )


def _write_base64_in_urls(core: str) -> tuple[str, str]:
    return core.translate(_URL_SAFE), quote(core, safe="")


_URL_SAFE = str.maketrans("+/", "-_")


def has_echo(secrets: Iterable[Sought], text: str) -> bool:
    """Whether one of the secrets stands in a text, in any form."""
    for sought in secrets:
        for letter, form in sought.probes:
            if letter in text and form in text:
                return True
    return False


def mask_echoes(needles: Needles, text: str) -> tuple[str, int]:
    """The text with each form of the secrets replaced, and how many were."""
    return replace_needles(needles.forms, text)


def replace_needles(needles: Iterable[Needle], text: str) -> tuple[str, int]:
    """The same for forms of any secrets.

    Matches that overlap are covered together, so that no rest of a secret is left between them.
    """
    spans = sorted(_find_spans(needles, text), key=lambda span: (span[0], -span[1]))
    if not spans:
        return text, 0
    pieces: list[str] = []
    count = 0
    place = 0
    for start, end, replacement in spans:
        if start >= place:
            pieces += (text[place:start], replacement)
            count += 1
        place = max(place, end)
    return "".join((*pieces, text[place:])), count


def _find_spans(needles: Iterable[Needle], text: str) -> Iterable[tuple[int, int, str]]:
    for needle in needles:
        start = text.find(needle.text)
        while start >= 0:
            end = start + len(needle.text)
            begin, stop = _widen(needle, text, start, end)
            yield begin, stop, needle.replacement
            start = text.find(needle.text, end)


def _widen(needle: Needle, text: str, start: int, end: int) -> tuple[int, int]:
    """The span of a base64 core with the letters at its ends that hold some bits of it, too."""
    if needle.before and start and _is_base64(text, start - 1):
        start -= 1
    if needle.behind and _is_base64(text, end):
        end += 1
        while text.startswith("=", end):
            end += 1
    return start, end
