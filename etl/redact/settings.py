"""Passwords in connection strings that are settings: `Server=db;User ID=me;Password=x`."""

import re
from collections.abc import Callable

from etl.redact.fingerprint import is_fingerprint

_HINTS = ("password=", "pwd=", "accountkey=", "sharedaccesskey=")
_find_place = re.compile(r":(?://|\\/\\/)|(?:server|host|endpoint)=", re.IGNORECASE).search
"""What such a string has, too: where the password is for."""

_SETTING = re.compile(
    r"(?P<before>(?<![^;?&\s])(?:password|pwd|accountkey|sharedaccesskey)=)(?P<secret>[^;&\s\"']+)",
    re.IGNORECASE,
)

_PLACEHOLDER = re.compile(
    r"[$%#]?\{\D*\d{0,2}\}{1,2}|%\(?\w*\)?s|\$(?:[A-Z_]+|[a-z_]+)|\*+|x+|<.*>|\[.*\]"
)
"""`${PASSWORD}`, `{password}`, `%s`, …; a password that begins with `$` or has digits is none."""


def stands_for_secret(text: str) -> bool:
    """Whether a text is a placeholder of a secret, or its fingerprint."""
    return _PLACEHOLDER.fullmatch(text) is not None or is_fingerprint(text)


def may_hold_setting(text: str) -> bool:
    """Whether a text, or JSON with texts in it, can hold such a password."""
    if "=" not in text:
        return False
    lower = text.lower()
    return any(hint in lower for hint in _HINTS) and _find_place(text) is not None


def replace_settings(text: str, replace: Callable[[str], str]) -> str:
    """The text with each such password replaced."""

    def edit(match: "re.Match[str]") -> str:
        secret = match["secret"]
        return match[0] if stands_for_secret(secret) else match["before"] + replace(secret)

    return _SETTING.sub(edit, text)
