"""JSON text, looked through and changed in place.

The text is read token by token and only the values that have to go are cut out: numbers, key
order, blanks and keys that stand twice stay as they came, and nesting costs no recursion. What is
not quite JSON (several documents, one that was cut off) is looked through as far as it goes.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec

from etl.redact.fingerprint import make_fingerprint
from etl.redact.names import (
    Secrecy,
    classify_label,
    classify_name,
    has_escaped_key,
    has_secret_label,
    iterate_keys,
    names_secret,
)

EMBEDDED_DEPTH_MAX = 4
"""How often JSON may stand inside a string of JSON."""

_TOKEN = re.compile(
    r'(?P<text>"[^"\\]*(?:\\.[^"\\]*)*(?:"|\\?\Z))(?P<colon>\s*:)?'
    r"|(?P<open>[{\[])|(?P<close>[}\]])|(?P<bare>[^\s\"{}\[\]:,]+)",
    re.DOTALL,
)
DOCUMENT_STARTS = frozenset("{[( \t\r\n")
_SCALAR = r"(?:true|false|null|-?\d[\d.eE+-]*+)\s*,"
begins_document = re.compile(rf"\s*[{{\[(]\s*(?:[\"'{{\[(]|{_SCALAR})").match
"""How JSON and what Python prints of a dictionary begin, and lines of a log do not."""

_begins_json = re.compile(rf"\s*(?:\{{\s*\"|\[\s*(?:[\[{{\"]|{_SCALAR}))").match
_NUMBER = re.compile(r"-?\d[\d.eE+-]*|NaN|-?Infinity")
_LABEL_KEYS = frozenset({"name", "key", "header", "field", "variable"})
_VALUE_KEYS = frozenset({"value", "val", "values"})
_ASSET_KEYS = frozenset(
    {
        *("address", "amount", "balance", "chain", "chainid", "contract", "contractaddress"),
        *("decimals", "name", "network", "price", "symbol"),
    }
)
"""What tells that a `token` is a currency, and is no secret."""

Classify = Callable[[str], Secrecy]
Labelled = tuple[range, Secrecy]
"""The leaves of a value, and what its label says of it."""


class Edit(NamedTuple):
    """One piece of a text and what stands there instead."""

    start: int
    end: int
    replacement: str


class Leaf(NamedTuple):
    """A string, number or key of JSON text; `secrecy` of the keys above it."""

    start: int
    end: int
    secrecy: Secrecy
    is_string: bool
    is_key: bool


@dataclass(slots=True)
class Edited:
    """Text without its secrets, how many values were replaced, and which secrets they were."""

    text: str
    count: int = 0
    secrets: list[str] = field(default_factory=list)


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
) -> list[Leaf]:
    """The leaves of JSON text, each with what the keys above it say.

    With a `name`, only those of the one value that begins at `start`, below that key.
    """
    leaves: list[Leaf] = []
    container = _Container(root, root, is_asset=name is not None and _may_be_asset(name.lower()))
    above: list[_Container] = []
    labelled: list[Labelled] = []
    for match in _TOKEN.finditer(text, start):
        kind = match.lastgroup
        if kind == "colon":
            begin, end = match.span("text")
            leaves.append(Leaf(begin, end, Secrecy.PLAIN, True, True))
            _enter_key(container, read_string(text[begin:end]), classify)
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
            _add_leaf(container, leaves, text, match)
        if name is not None and not above:
            break
    for unclosed in (container, *reversed(above)):
        labelled += _list_labelled(unclosed)
    _label_leaves(leaves, labelled)
    return leaves


def find_secret_leaves(text: str) -> list[Leaf] | None:
    """The leaves below the key names that mean a secret, without reading the rest.

    None where all has to be read: a name or what it is in is written with escapes, or names its
    sibling.
    """
    if "\\u00" in text or has_escaped_key(text) or has_secret_label(text):
        return None
    leaves: list[Leaf] = []
    end = 0
    for match in iterate_keys(text):
        secrecy = classify_name(match[1])
        if secrecy is Secrecy.PLAIN:
            continue
        begin, stop = match.span()
        if text[stop] == "\\" or (begin and text[begin - 1] == "\\"):
            return None
        if stop > end:
            leaves += list_leaves(text, classify_name, secrecy, stop + 1, name=match[1])
            end = leaves[-1].end if leaves else stop
    return leaves


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
    if container.key in _VALUE_KEYS:
        own = _combine(container.label, own)
    if own is Secrecy.LABEL and container.inside is Secrecy.TYPED:
        container.here = Secrecy.PLAIN
    else:
        own = classify_name(name) if own is Secrecy.LABEL else own
        container.here = _combine(container.inside, own)


def _combine(inside: Secrecy, own: Secrecy) -> Secrecy:
    """The secrecy of a value by that of its container and that of its own key."""
    if Secrecy.SECRET in (inside, own):
        return Secrecy.SECRET
    return inside if own is Secrecy.PLAIN or inside is Secrecy.TYPED else own


def _add_leaf(container: _Container, leaves: list[Leaf], text: str, match: "re.Match[str]") -> None:
    """Remember a string or number; `{"name": "Authorization", "value": …}` labels its sibling."""
    start, end = match.span()
    is_string = match.lastgroup == "text"
    if is_string and container.key in _LABEL_KEYS:
        label = classify_label(read_string(text[start:end]))
        container.label = _combine(container.label, label)
    _note_value(container, range(len(leaves), len(leaves) + 1))
    leaves.append(Leaf(start, end, container.here, is_string, False))


def _note_value(container: _Container, inner: range) -> None:
    """Remember the leaves of a value that a sibling may name."""
    if container.key in _VALUE_KEYS:
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
                leaves[place] = leaf._replace(secrecy=_combine(leaf.secrecy, label))
            begin = min(begin, inner.start)


def redact_names(
    key: bytes,
    text: str,
    classify: Classify = classify_name,
    depth: int = 0,
) -> Edited:
    """JSON text in which what stands below a secret key name is replaced by its fingerprint.

    Every string and number there is replaced; true, false, null and empty strings tell nothing.
    JSON inside a string is looked through, too.
    """
    edits: list[Edit] = []
    edited = Edited(text)
    leaves = find_secret_leaves(text) if classify is classify_name else None
    if leaves is None:
        leaves = list_leaves(text, classify)
    for leaf in leaves:
        token = text[leaf.start : leaf.end]
        if not _is_secret(leaf, token):
            inner = _redact_embedded(key, token, classify, depth) if leaf.is_string else None
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


def _is_secret(leaf: Leaf, token: str) -> bool:
    if leaf.secrecy is Secrecy.PLAIN or leaf.is_key:
        return False
    if leaf.is_string:
        return token != '""'
    return leaf.secrecy is not Secrecy.UNLESS_NUMBER and _NUMBER.fullmatch(token) is not None


def _redact_embedded(key: bytes, token: str, classify: Classify, depth: int) -> Edited | None:
    """The same for JSON that stands inside a string; None where there is none."""
    if token[1:2] not in ("{", "[") and not token[1:2].isspace():
        return None
    inner = read_string(token)
    if depth >= EMBEDDED_DEPTH_MAX or not looks_like_json(inner):
        return None
    return redact_names(key, inner, classify, depth + 1)


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


def apply_edits(text: str, edits: Iterable[Edit]) -> str:
    """The text with its pieces replaced; the edits are in order and do not overlap."""
    pieces: list[str] = []
    place = 0
    for start, end, replacement in edits:
        pieces += (text[place:start], replacement)
        place = end
    return "".join((*pieces, text[place:])) if pieces else text


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
