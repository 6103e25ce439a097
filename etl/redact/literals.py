"""What Python programs print of a dictionary: `{'password': 'x'}`, which is not JSON."""

import ast
import re

from etl.redact.edits import Edit, Edited, apply_edits
from etl.redact.fingerprint import make_fingerprint
from etl.redact.leaves import (
    LABEL_KEYS,
    VALUE_KEYS,
    Classify,
    Leaf,
    Notation,
    combine,
    is_secret,
    list_leaves,
)
from etl.redact.names import Secrecy, classify_label, classify_name

begins_literal = re.compile(r"(?:\s*[{(\[])++(?<=\{)\s*'").match
_STRING = r"[bB]?(?:'[^'\\]*+(?:\\.[^'\\]*+)*+{0}|\"[^\"\\]*+(?:\\.[^\"\\]*+)*+{1})"
_CLOSED = _STRING.format("'", '"')
_PAIR = re.compile(
    r"(?P<quote>['\"])(?P<name>[^'\"\\]*+)(?P=quote)\s*:\s*"
    rf"(?P<value>{_CLOSED}|-?\d[\d.eE+-]*+|(?=[{{(\[]))",
    re.DOTALL,
)
"""A key and its value; of a list or another dictionary only where it begins."""


def looks_like_literal(text: str) -> bool:
    """Whether a text may be a Python dictionary with a key that means a secret."""
    return begins_literal(text) is not None and bool(_find_leaves(text, classify_name))


def redact_literals(key: bytes, text: str, classify: Classify = classify_name) -> Edited:
    """The text of a Python dictionary in which strings and numbers of secret keys are replaced."""
    edits: list[Edit] = []
    edited = Edited(text)
    for leaf in _find_leaves(text, classify):
        token = text[leaf.start : leaf.end]
        secret = _read_literal(token)
        if secret and is_secret(leaf, token):
            edits.append(Edit(leaf.start, leaf.end, f"'{make_fingerprint(key, secret)}'"))
            edited.count += 1
            edited.secrets.append(secret)
    edited.text = apply_edits(text, edits)
    return edited


def _find_leaves(text: str, classify: Classify) -> list[Leaf]:
    """The leaves below the keys that mean a secret, wherever in the text they stand."""
    leaves: list[Leaf] = []
    label = Secrecy.PLAIN
    seen = end = 0
    for match in _PAIR.finditer(text):
        name = match["name"].lower()
        secrecy = _classify(match["name"], classify)
        if "}" in text[seen : match.start()]:
            label = Secrecy.PLAIN
        if name in LABEL_KEYS:
            label = combine(label, classify_label(_read_literal(match["value"])))
        elif name in VALUE_KEYS:
            secrecy = combine(label, secrecy)
        seen = match.end()
        begin = match.start("value")
        if secrecy is not Secrecy.PLAIN and begin >= end:
            leaves += list_leaves(text, classify, secrecy, begin, match["name"], PYTHON)
            end = leaves[-1].end if leaves else begin
    return leaves


def _classify(name: str, classify: Classify) -> Secrecy:
    secrecy = classify(name)
    return classify_name(name) if secrecy is Secrecy.LABEL else secrecy


def _read_literal(token: str) -> str:
    """What a string or number means; one that is malformed stands for itself."""
    try:
        value = ast.literal_eval(token)
    except (SyntaxError, ValueError):
        return token
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value if isinstance(value, str) else token


_OPEN = _STRING.format(r"(?:'|\\?\Z)", r"(?:\"|\\?\Z)")
PYTHON = Notation(
    re.compile(
        rf"(?P<text>{_OPEN})(?P<colon>\s*:)?"
        r"|(?P<open>[{(\[])|(?P<close>[}\])])|(?P<bare>[^\s'\"{}()\[\]:,]+)",
        re.DOTALL,
    ),
    _read_literal,
)
