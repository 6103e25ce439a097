"""Secrets known by their shape: in connection strings, private keys, tokens of well-known issuers.

Connection strings and private keys are always looked for. Token shapes are looked for where a
source asks for it (`detect_secrets`), and in every line that goes to a log. They are few and
searched as one text;
the library for them, detect-secrets, reads each line by two dozen expressions, which takes thirty
times as long.
"""

import re
from collections.abc import Callable, Iterable

from etl.redact.echoes import (
    ECHO_LEAST_CHARS,
    Needle,
    list_forms,
    make_needles,
    replace_needles,
)
from etl.redact.names import Secrecy, classify_name
from etl.redact.settings import stands_for_secret

MASK = "***"
MASKED_LEAST_CHARS = 4
"""A given secret shorter than this is no secret; masking it would make lines unreadable."""

_NAME = r"[^\s:/?#\"'<>@\\]"
_CONNECTION = re.compile(
    rf"(?P<before>:(?://|\\/\\/)"
    rf"(?:{_NAME}{{0,128}}:|{_NAME}{{1,128}}@{_NAME}{{1,128}}:(?=[^\s\"\\/?#]{{1,4096}}@)))"
    r"(?!\d{1,5}[/?#'<>])"
    r"(?P<secret>(?:[^\s\"'<>\\/?#]|(?<=\w)['<>](?=\w)){1,4096}|[^\s\"'<>\\@]{1,256})(?=@)"
)
"""`scheme://user:password@host`, the password possibly with characters that should be escaped.

The user may be an address: `me@example.com`. Quotes and brackets are of a password only between
letters, not where code or HTML goes on; digits before them or a slash are a port. The lengths are
bounded, so that the time is, too: a text may be all addresses and no blanks. What is long has no
slash, so each address ends where the next begins.
"""

_find_connection = re.compile(
    r":(?://|\\/\\/)[^\s:/?#\"<>@]{0,128}(?:@[^\s:/?#\"<>@]{1,128})?"
    r":(?:[^\s\"/?#]{1,4096}|[^\s\"]{1,256})@"
).search

_SCHEME = re.compile(
    r"(?P<before>\b(?:bearer|basic|token)\s+)(?P<secret>[A-Za-z0-9._~+/=-]{8,})", re.IGNORECASE
)

_ASSIGNMENT = re.compile(
    r"(?P<name>[A-Za-z][\w.-]*)(?:\\?[\"'])?\s*[:=]\s*"
    r"(?=(?P<quote>\\?[\"'])(?P<quoted>(?:(?!(?P=quote)).)+)|(?P<bare>[^\s\"'&,;{}\[\]()]+))"
)
"""A name and, looked ahead at, its value: a value may begin with a name of its own, as in
`https://host/?token=…`."""

_TOKENS: tuple[tuple[str, str, str], ...] = (
    ("K", "AKIA", r"AKIA[A-Z0-9]{16}"),
    ("S", "ASIA", r"ASIA[A-Z0-9]{16}"),
    ("_", "gh", r"gh[pousr]_[A-Za-z0-9]{30,255}"),
    ("_", "github_pat_", r"github_pat_[A-Za-z0-9_]{22,255}"),
    ("-", "glpat-", r"glpat-[A-Za-z0-9_.-]{20,}"),
    ("x", "xox", r"xox[abeoprs]-[A-Za-z0-9-]{10,}"),
    ("x", "xapp-", r"xapp-[A-Za-z0-9-]{10,}"),
    ("_", "k_live_", r"[sr]k_live_[A-Za-z0-9]{16,}"),
    ("_", "k_test_", r"[sr]k_test_[A-Za-z0-9]{16,}"),
    ("_", "whsec_", r"whsec_[A-Za-z0-9+/=]{24,}"),
    ("-", "sk-", r"sk-[A-Za-z0-9_-]{20,}"),
    ("z", "AIza", r"AIza[A-Za-z0-9_-]{35}"),
    ("y", "ya29.", r"ya29\.[A-Za-z0-9_-]{20,}"),
    ("X", "GOCSPX-", r"GOCSPX-[A-Za-z0-9_-]{20,}"),
    ("J", "eyJ", r"(?<![_-])eyJ[A-Za-z0-9_-]{6,}\.[A-Za-z0-9_-]{6,}(?:\.[A-Za-z0-9_-]*)+"),
    ("G", "SG.", r"SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}"),
    ("_", "npm_", r"npm_[A-Za-z0-9]{36}"),
    ("-", "pypi-", r"pypi-[A-Za-z0-9_-]{50,}"),
    ("_", "hf_", r"hf_[A-Za-z0-9]{30,}"),
    ("_", "dop_v1_", r"dop_v1_[0-9a-f]{64}"),
    ("_", "shp", r"shp(?:at|ca|pa|ss)_[0-9a-fA-F]{32}"),
    ("_", "gsk_", r"gsk_[A-Za-z0-9]{40,}"),
    ("v", "hvs.", r"hvs\.[A-Za-z0-9_-]{24,}"),
    ("K", "AccountKey=", r"(?<=AccountKey=)[A-Za-z0-9+/=]{40,}"),
)
"""A letter that must be there, the text that must be there, the whole shape."""

_TOKEN = re.compile(
    r"(?<![A-Za-z0-9])(?:" + "|".join(shape for _, _, shape in _TOKENS) + ")", re.DOTALL
)
_HINTS = tuple((letter, hint) for letter, hint, _ in _TOKENS)


_KEY_HINT = "PRIVATE KEY"
_PRIVATE_KEY = re.compile(
    r"-----BEGIN (?:[A-Z]{1,20} ){0,3}PRIVATE KEY(?: BLOCK)?-----"
    r"(?:(?:(?!-----(?:BEGIN|END)).){16,}+-----END [A-Z ]{0,64}-----"
    r"|(?:(?!-----)[\w\s+/=:,.\\-]){16,}+)",
    re.DOTALL,
)
"""A private key to its end, or as far as it looks like one where it was cut off.

A program that only looks for the first line has no key behind it.
"""


def may_hold_shape(text: str, is_detecting: bool) -> bool:
    """Whether a text can hold what is known by its shape: a fast first test.

    `is_detecting`: also tokens of issuers, not only passwords and private keys.
    """
    return (
        may_hold_connection(text)
        # The letter is rare, so most texts cost a fraction.
        or ("V" in text and _KEY_HINT in text)
        or (is_detecting and may_hold_token(text))
    )


def replace_shapes(text: str, replace: Callable[[str], str], is_detecting: bool) -> str:
    """The text with each of these replaced."""
    text = replace_connection_passwords(text, replace)
    if _KEY_HINT in text:
        text = _PRIVATE_KEY.sub(lambda match: replace(match[0]), text)
    return replace_tokens(text, replace) if is_detecting else text


def may_hold_connection(text: str) -> bool:
    """Whether a text can hold a connection string: a fast first test."""
    return "@" in text and _find_connection(text) is not None


def may_hold_token(text: str) -> bool:
    """Whether a text can hold a token of a known shape: a fast first test.

    The single letter stands before the word because looking for it costs a fraction.
    """
    # A loop: most texts are short, and there any() would take longer for its generator.
    for letter, hint in _HINTS:  # noqa: SIM110
        if letter in text and hint in text:
            return True
    return False


def replace_connection_passwords(text: str, replace: Callable[[str], str]) -> str:
    """The text with the password of each connection string replaced."""

    def edit(match: "re.Match[str]") -> str:
        secret = match["secret"]
        if stands_for_secret(secret):
            return match[0]
        return match["before"] + replace(secret)

    return _CONNECTION.sub(edit, text) if may_hold_connection(text) else text


def list_connection_passwords(text: str) -> list[str]:
    """The passwords of the connection strings in a text."""
    found: list[str] = []

    def note(secret: str) -> str:
        found.append(secret)
        return secret

    replace_connection_passwords(text, note)
    return found


def replace_tokens(text: str, replace: Callable[[str], str]) -> str:
    """The text with each token of a known shape replaced."""
    return _TOKEN.sub(lambda match: replace(match[0]), text) if may_hold_token(text) else text


def mask_line(text: str, secrets: Iterable[str] = ()) -> str:
    """A line for a log or an error, without the given secrets and what looks like one.

    Ids of requests and errors stay: they are what a report to the vendor needs.
    """
    text = _mask_given(text, secrets)
    text = replace_shapes(text, lambda secret: MASK, is_detecting=True)
    text = _SCHEME.sub(_mask_credentials, text)
    return _mask_assignments(text)


def _mask_given(text: str, secrets: Iterable[str]) -> str:
    """The text without the given secrets, in any of the usual encodings."""
    needles: list[Needle] = []
    for secret in secrets:
        if len(secret) >= ECHO_LEAST_CHARS:
            needles += make_needles(secret, MASK)
        elif len(secret) >= MASKED_LEAST_CHARS:
            needles += [Needle(form, MASK) for form in list_forms(secret)]
    return replace_needles(needles, text)[0]


def _mask_credentials(match: "re.Match[str]") -> str:
    return match[0] if _is_word(match["secret"]) else match["before"] + MASK


def _mask_assignments(text: str) -> str:
    """`password=…`, but not a sentence such as `invalid token: expired`."""
    pieces: list[str] = []
    place = 0
    for match in _ASSIGNMENT.finditer(text):
        value = "bare" if match["quoted"] is None else "quoted"
        start, end = match.span(value)
        is_sentence = value == "bare" and _is_word(match[value])
        if start < place or is_sentence or not _is_secret(match["name"], match[value]):
            continue
        pieces += (text[place:start], MASK)
        place = end
    return "".join((*pieces, text[place:]))


def _is_secret(name: str, value: str) -> bool:
    secrecy = classify_name(name)
    is_counted = secrecy is Secrecy.UNLESS_NUMBER and value.isdecimal()
    return secrecy is not Secrecy.PLAIN and not is_counted


def _is_word(text: str) -> bool:
    return text.isalpha() and (text.islower() or text.istitle())
