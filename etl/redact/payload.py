"""JSON text, looked through and changed in place.

Only the values that have to go are cut out: numbers, key order, blanks and keys that stand twice
stay as they came.
"""

import re
from collections.abc import Callable

from etl.redact.edits import Edit, Edited, apply_edits
from etl.redact.fingerprint import make_fingerprint
from etl.redact.leaves import (
    Classify,
    find_secret_leaves,
    is_secret,
    list_leaves,
    read_string,
    write_string,
)
from etl.redact.literals import begins_literal, redact_literals
from etl.redact.names import Secrecy, classify_name, classify_typed, names_secret
from etl.redact.settings import may_hold_setting, replace_settings

EMBEDDED_DEPTH_MAX = 4
"""How often JSON may stand inside a string of JSON."""

DOCUMENT_STARTS = frozenset("{[( \t\r\n\ufeff")
_SCALAR = r"(?:true|false|null|-?\d[\d.eE+-]*+)\s*,"
begins_document = re.compile(
    rf"[\s\ufeff]*(?:\[\s*\]|\{{\s*\}}|[{{\[(]\s*(?:[\"'{{\[(]|{_SCALAR}))"
).match
"""How JSON and what Python prints of a dictionary begin, and lines of a log do not.

An empty one may be the first of many, behind a mark of the byte order.
"""

_begins_json = re.compile(rf"\s*(?:\{{\s*\"|\[\s*(?:[\[{{\"]|{_SCALAR}))").match


def redact_names(
    key: bytes,
    text: str,
    classify: Classify = classify_name,
    depth: int = 0,
) -> Edited:
    """JSON text in which what stands below a secret key name is replaced by its fingerprint.

    Documents inside a string are looked through, too. In a record that is not understood a word
    without quotes may be a secret as well.
    """
    is_any = classify is classify_typed
    edits: list[Edit] = []
    edited = Edited(text)
    leaves = find_secret_leaves(text) if classify is classify_name else None
    if leaves is None:
        leaves = list_leaves(text, classify)
    for leaf in leaves:
        token = text[leaf.start : leaf.end]
        if not is_secret(leaf, token, is_any):
            inner = _redact_string(key, token, classify, depth) if leaf.is_string else None
            if inner is not None and inner.count:
                edits.append(Edit(leaf.start, leaf.end, write_string(inner.text)))
                edited.count += inner.count
                edited.secrets += inner.secrets
            continue
        secret = read_string(token) if leaf.is_string else token
        edits.append(Edit(leaf.start, leaf.end, f'"{make_fingerprint(key, secret)}"'))
        edited.count += 1
        edited.secrets.append(secret)
    edited.text = apply_edits(text, edits)
    return edited


def _redact_string(key: bytes, token: str, classify: Classify, depth: int) -> Edited | None:
    """The same for what a string holds; None where that is no document and has no settings."""
    embedded = _redact_embedded(key, token, classify, depth)
    if embedded is not None or not may_hold_setting(token):
        return embedded
    secrets: list[str] = []

    def replace(secret: str) -> str:
        secrets.append(secret)
        return make_fingerprint(key, secret)

    text = replace_settings(read_string(token), replace)
    return Edited(text, len(secrets), secrets)


def _redact_embedded(key: bytes, token: str, classify: Classify, depth: int) -> Edited | None:
    """The same for a document that stands inside a string; None where there is none."""
    first = token[1:2]
    if first not in DOCUMENT_STARTS and first != "\\" and not first.isspace():
        return None
    inner = read_string(token)
    if depth >= EMBEDDED_DEPTH_MAX or begins_document(inner) is None:
        return None
    return redact_document(key, inner, classify, depth + 1)


def redact_document(
    key: bytes, text: str, classify: Classify = classify_name, depth: int = 0
) -> Edited:
    """The same for JSON and for what Python prints of a dictionary, with JSON in its strings."""
    edited = redact_literals(key, text, classify) if begins_literal(text) else Edited(text)
    if names_secret(edited.text):
        inner = redact_names(key, edited.text, classify, depth)
        edited.text = inner.text
        edited.count += inner.count
        edited.secrets += inner.secrets
    return edited


def looks_like_json(text: str) -> bool:
    """Whether a text may be JSON (documents, or a part of one) with a name that means a secret."""
    return _begins_json(text) is not None and names_secret(text)


def edit_leaves(text: str, mask: Callable[[str], str]) -> str:
    """JSON text with `mask` applied to each string, key and number; a masked number is a string."""
    edits = []
    for leaf in list_leaves(text, _is_plain):
        token = text[leaf.start : leaf.end]
        value = read_string(token) if leaf.is_string else token
        masked = mask(value)
        if masked != value:
            edits.append(Edit(leaf.start, leaf.end, write_string(masked)))
    return apply_edits(text, edits)


def _is_plain(name: str) -> Secrecy:
    return Secrecy.PLAIN
