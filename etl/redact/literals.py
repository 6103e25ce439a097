"""What Python programs print of a dictionary: `{'password': 'x'}`, which is not JSON."""

import ast
import re

from etl.redact.fingerprint import make_fingerprint
from etl.redact.names import Secrecy, classify_name
from etl.redact.payload import Edit, Edited, apply_edits

_begins_literal = re.compile(r"\s*(?:[{(\[]\s*)*\{\s*'").match
_PAIR = re.compile(
    r"(?P<quote>['\"])(?P<name>[^'\"\\]*+)(?P=quote)\s*:\s*"
    r"(?P<value>b?'[^'\\]*+(?:\\.[^'\\]*+)*+'|b?\"[^\"\\]*+(?:\\.[^\"\\]*+)*+\"|-?\d[\d.eE+-]*+)",
    re.DOTALL,
)


def looks_like_literal(text: str) -> bool:
    """Whether a text may be a Python dictionary with a key that means a secret."""
    return _begins_literal(text) is not None and any(
        classify_name(match["name"]) for match in _PAIR.finditer(text)
    )


def redact_literals(key: bytes, text: str) -> Edited:
    """The text of a Python dictionary in which strings and numbers of secret keys are replaced."""
    edits: list[Edit] = []
    edited = Edited(text)
    for match in _PAIR.finditer(text):
        secret = _read_literal(match["value"])
        secrecy = classify_name(match["name"])
        is_text = match["value"][-1] in "'\""
        if secret and (secrecy is Secrecy.SECRET or (is_text and secrecy is not Secrecy.PLAIN)):
            edits.append(Edit(*match.span("value"), f"'{make_fingerprint(key, secret)}'"))
            edited.count += 1
            edited.secrets.append(secret)
    edited.text = apply_edits(text, edits)
    return edited


def _read_literal(token: str) -> str:
    """What a string or number means; one that is malformed stands for itself."""
    try:
        value = ast.literal_eval(token)
    except (SyntaxError, ValueError):
        return token
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value if isinstance(value, str) else token
