"""The leaves of JSON text and of what is like it, read token by token.

Each knows what the keys above it say. Nesting costs no recursion; what is not quite JSON (several
documents, one that was cut off) is read as far as it goes.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec

from etl.redact.names import (
    Secrecy,
    classify_label,
    classify_name,
    has_escaped_key,
    has_secret_label,
    iterate_keys,
)
from etl.redact.settings import may_hold_setting

Classify = Callable[[str], Secrecy]
Labelled = tuple[range, Secrecy]
"""The leaves of a value, and what its label says of it."""

LABEL_KEYS = frozenset({"name", "key", "header", "field", "variable"})
VALUE_KEYS = frozenset({"value", "val", "values"})
_ASSET_KEYS = frozenset(
    {
        *("address", "amount", "balance", "chain", "chainid", "contract", "contractaddress"),
        *("decimals", "network", "price", "symbol"),
    }
)
"""What tells that a `token` is a currency, and is no secret."""

_NUMBER = re.compile(r"-?\d[\d.eE+-]*|NaN|-?Infinity")
_CONSTANTS = frozenset({"true", "false", "null", "True", "False", "None"})
_iterate_literals = re.compile(r"\"(?=(?:\s*[{(\[])++(?<=\{)\s*')").finditer
"""The beginning of each string that may be what Python prints of a dictionary."""


class Notation(NamedTuple):
    """How values are written: `token` has the groups text, colon, open, close and bare."""

    token: "re.Pattern[str]"
    read: Callable[[str], str]


class Leaf(NamedTuple):
    """A string, number or key of JSON text; `secrecy` of the keys above it."""

    start: int
    end: int
    secrecy: Secrecy
    is_string: bool
    is_key: bool


@dataclass(slots=True)
class _Container:
    """An object or array being read; `here` is the secrecy of the value that comes next.

    `first`: how many leaves came before it. `label`: what one of its leaves says of its `values`,
    which are the leaves of each. `is_asset`: it may tell of a currency, see _ASSET_KEYS.
    """

    inside: Secrecy
    here: Secrecy
    first: int = 0
    key: str = ""
    label: Secrecy = Secrecy.PLAIN
    values: list[range] = field(default_factory=list)
    is_asset: bool = False


def list_leaves(
    text: str,
    classify: Classify = classify_name,
    root: Secrecy = Secrecy.PLAIN,
    start: int = 0,
    name: str | None = None,
    notation: Notation | None = None,
) -> list[Leaf]:
    """The leaves of JSON text, or of another notation, each with what the keys above it say.

    With a `name`, only those of the one value that begins at `start`, below that key.
    """
    token, read = notation or JSON
    leaves: list[Leaf] = []
    container = _Container(root, root, is_asset=name is not None and _may_be_asset(name.lower()))
    above: list[_Container] = []
    labelled: list[Labelled] = []
    for match in token.finditer(text, start):
        kind = match.lastgroup
        if kind == "colon":
            begin, end = match.span("text")
            leaves.append(Leaf(begin, end, Secrecy.PLAIN, True, True))
            _enter_key(container, read(text[begin:end]), classify)
            continue
        if kind == "open":
            above.append(container)
            container = _open_container(container, len(leaves))
        elif kind == "close":
            labelled += _list_labelled(container)
            inner = range(container.first, len(leaves))
            container = above.pop() if above else _Container(root, root)
            _note_value(container, inner)
        else:
            _add_leaf(container, leaves, match, read)
        if name is not None and not above:
            break
    for unclosed in (container, *reversed(above)):
        labelled += _list_labelled(unclosed)
    _label_leaves(leaves, labelled)
    return leaves


def find_secret_leaves(text: str) -> list[Leaf] | None:
    """The leaves below the key names that mean a secret, without reading the rest.

    With them the strings that may be what Python prints of a dictionary. None where all has to be
    read: a name or what it is in is written with escapes, or names its sibling, or is in a string.
    """
    if may_hold_setting(text):
        return None
    if "\\u00" in text or has_escaped_key(text) or has_secret_label(text):
        return None
    suspects = _list_suspects(text)
    if suspects is None:
        return None
    leaves: list[Leaf] = []
    end = 0
    for begin, secrecy, name in suspects:
        if begin >= end:
            leaves += list_leaves(text, classify_name, secrecy, begin, name)
            end = leaves[-1].end if leaves else begin
    return leaves


def _list_suspects(text: str) -> list[tuple[int, Secrecy, str]] | None:
    """Where such values begin, with what their key says; None where one is inside a string."""
    suspects: list[tuple[int, Secrecy, str]] = []
    for match in iterate_keys(text):
        secrecy = classify_name(match[1])
        if secrecy is not Secrecy.PLAIN:
            suspects.append((match.end() + 1, secrecy, match[1]))
            if text[match.end()] == "\\" or _is_escaped(text, match.start()):
                return None
    if "'" in text:
        for match in _iterate_literals(text):
            suspects.append((match.start(), Secrecy.PLAIN, ""))
            if _is_escaped(text, match.start()):
                return None
        suspects.sort()
    return suspects


def _is_escaped(text: str, place: int) -> bool:
    return place > 0 and text[place - 1] == "\\"


def _open_container(parent: _Container, first: int) -> _Container:
    is_named = parent.inside is Secrecy.PLAIN and _may_be_asset(parent.key)
    is_asset = parent.is_asset if parent.key == "" else is_named
    return _Container(parent.here, parent.here, first, is_asset=is_asset)


def _may_be_asset(key: str) -> bool:
    return key.endswith(("token", "tokens"))


def _enter_key(container: _Container, name: str, classify: Classify) -> None:
    container.key = name.lower()
    if container.is_asset and container.key in _ASSET_KEYS:
        container.here = Secrecy.PLAIN
        return
    own = classify(name)
    if container.key in VALUE_KEYS:
        own = combine(container.label, own)
    if own is Secrecy.LABEL and container.inside is Secrecy.TYPED:
        container.here = Secrecy.PLAIN
    else:
        own = classify_name(name) if own is Secrecy.LABEL else own
        container.here = combine(container.inside, own)


def combine(inside: Secrecy, own: Secrecy) -> Secrecy:
    """The secrecy of a value by that of its container and that of its own key."""
    if Secrecy.SECRET in (inside, own):
        return Secrecy.SECRET
    return inside if own is Secrecy.PLAIN or inside is Secrecy.TYPED else own


def _add_leaf(
    container: _Container,
    leaves: list[Leaf],
    match: "re.Match[str]",
    read: Callable[[str], str],
) -> None:
    """Remember a string or number; `{"name": "Authorization", "value": …}` labels its sibling."""
    start, end = match.span()
    is_string = match.lastgroup == "text"
    if is_string and container.key in LABEL_KEYS:
        label = classify_label(read(match[0]))
        container.label = combine(container.label, label)
    _note_value(container, range(len(leaves), len(leaves) + 1))
    leaves.append(Leaf(start, end, container.here, is_string, False))


def _note_value(container: _Container, inner: range) -> None:
    """Remember the leaves of a value that a sibling may name."""
    if container.key in VALUE_KEYS:
        container.values.append(inner)


def _list_labelled(container: _Container) -> list[Labelled]:
    if container.label is Secrecy.PLAIN:
        return []
    return [(inner, container.label) for inner in container.values]


def _label_leaves(leaves: list[Leaf], labelled: list[Labelled]) -> None:
    """Give the leaves of each labelled value their label.

    What stands in another comes before it, so from behind each leaf is looked at once.
    """
    for label in (Secrecy.UNLESS_NUMBER, Secrecy.SECRET):
        begin = len(leaves)
        for inner in [inner for inner, own in reversed(labelled) if own is label]:
            for place in range(inner.start, min(inner.stop, begin)):
                leaf = leaves[place]
                leaves[place] = leaf._replace(secrecy=combine(leaf.secrecy, label))
            begin = min(begin, inner.start)


def is_secret(leaf: Leaf, token: str, is_any: bool = False) -> bool:
    """Whether a leaf has to go: a string or number below a secret name; `is_any`: a word, too.

    True, false, null and empty strings tell nothing.
    """
    if leaf.secrecy is Secrecy.PLAIN or leaf.is_key:
        return False
    if leaf.is_string:
        return token not in ('""', "''")
    is_number = _NUMBER.fullmatch(token) is not None
    if leaf.secrecy is Secrecy.UNLESS_NUMBER and is_number:
        return False
    return is_number or (is_any and token not in _CONSTANTS)


def read_string(token: str) -> str:
    """What a JSON string token means; one that is malformed stands for its own characters."""
    closed = token if token.endswith('"') and len(token) > 1 else token + '"'
    if "\\" not in token:
        return closed[1:-1]
    try:
        return msgspec.json.decode(closed.encode("utf-8", "surrogatepass"), type=str)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _read_leniently(closed)


def _read_leniently(token: str) -> str:
    import json

    try:
        return str(json.loads(token, strict=False))
    except ValueError:
        return token[1:-1]


def write_string(text: str) -> str:
    """A text as a JSON string token; half a surrogate pair becomes U+FFFD."""
    try:
        return msgspec.json.encode(text).decode()
    except UnicodeEncodeError:
        whole = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        return msgspec.json.encode(whole).decode()


JSON = Notation(
    re.compile(
        r'(?P<text>"[^"\\]*(?:\\.[^"\\]*)*(?:"|\\?\Z))(?P<colon>\s*:)?'
        r"|(?P<open>[{\[])|(?P<close>[}\]])|(?P<bare>[^\s\"{}\[\]:,]+)",
        re.DOTALL,
    ),
    read_string,
)
