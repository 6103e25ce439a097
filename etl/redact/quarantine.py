"""What may be kept of a record that could not be understood, so that it can be tried again."""

import msgspec

from etl.redact.echoes import list_needles, mask_echoes
from etl.redact.edits import Edit, apply_edits
from etl.redact.fingerprint import describe_text, make_fingerprint
from etl.redact.leaves import list_leaves, read_string, write_string
from etl.redact.names import Secrecy, classify_typed
from etl.redact.payload import edit_leaves, redact_names
from etl.redact.plan import Redactor
from etl.redact.shapes import replace_shapes


def redact_broken(redactor: Redactor, raw: bytes) -> str:
    """The record as JSON text that a store accepts, by the same policy as one that is understood.

    Its known places cannot be told apart, so all of an environment or authorisation goes but the
    names and ids in it.
    """
    text = raw.decode("utf-8", "replace")
    if redactor.payloads == "none":
        return describe_text(redactor.key, text)
    if redactor.payloads == "redacted":
        text = _redact(redactor, text)
    return repair_json(text)


def _redact(redactor: Redactor, text: str) -> str:
    if not redactor.file_contents:
        text = _drop_contents(text)
    edited = redact_names(redactor.key, text, classify_typed)
    secrets = edited.secrets

    def replace(secret: str) -> str:
        secrets.append(secret)
        return make_fingerprint(redactor.key, secret)

    def mask_shapes(part: str) -> str:
        return replace_shapes(part, replace, redactor.detect_secrets)

    text = edit_leaves(edited.text, mask_shapes)
    needles = list_needles(redactor.key, tuple(secrets))
    return edit_leaves(text, lambda part: mask_echoes(needles, part)[0])


def _drop_contents(text: str) -> str:
    """The record without the contents of files."""
    leaves = list_leaves(text, lambda name: Secrecy(name == "contents"))
    return apply_edits(
        text,
        [
            Edit(leaf.start, leaf.end, "null")
            for leaf in leaves
            if leaf.secrecy is Secrecy.SECRET and leaf.is_string and not leaf.is_key
        ],
    )


def repair_json(text: str) -> str:
    """JSON text that a store accepts: as it is, with its strings mended, or as one string."""
    if _is_valid(text):
        return text
    edits = [
        Edit(leaf.start, leaf.end, write_string(read_string(text[leaf.start : leaf.end])))
        for leaf in list_leaves(text)
        if leaf.is_string
    ]
    mended = apply_edits(text, edits)
    return mended if _is_valid(mended) else write_string(text)


def _is_valid(text: str) -> bool:
    try:
        msgspec.json.decode(text, type=msgspec.Raw)
    except (msgspec.DecodeError, RecursionError):
        return False
    return True
