"""A table of a TOML file as a struct, or a refusal of one line that names file and key.

What was found is only repeated where it cannot be a secret.
"""

import difflib
import re
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, get_args, get_type_hints

import msgspec
from msgspec import Meta

from etl.errors import ConfigError

T = TypeVar("T")

SECRET_KEY = re.compile(r"(token|password|passwd|secret|apikey|bearer|authorization|credentials?)$")
SHOWN_KEYS = frozenset({"kind", "payloads", "timezone", "lookback"})
"""Keys whose text is repeated in a refusal; any other might hold a secret by mistake."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a file a value stands."""

    file: Path
    path: str = ""

    def at(self, key: str) -> "Place":
        return Place(self.file, f"{self.path}.{key}" if self.path else key)

    def refuse(self, message: str) -> ConfigError:
        where = f"{self.file}: {self.path}" if self.path else str(self.file)
        return ConfigError(f"{where}: {message}")


def read_toml(file: Path) -> dict[str, Any]:
    """The whole file. Raises ConfigError."""
    place = Place(file)
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise Place(file.absolute()).refuse(
            "there is no such file; `etl init` makes one, --config names another"
        ) from None
    except OSError as error:
        raise place.refuse(f"cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise place.refuse("not valid TOML: it is not UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise place.refuse(f"not valid TOML: {error}") from None


def convert(place: Place, table: Any, struct_type: type[T]) -> T:
    """A table of the file as its struct, or a refusal that names the key."""
    if not isinstance(table, dict):
        raise place.refuse(f"found {describe(table)}, expected a table")
    check_keys(place, table, list_keys(struct_type))
    try:
        return msgspec.convert(table, struct_type)
    except msgspec.ValidationError as error:
        raise _explain(place, table, struct_type, str(error)) from None


def _explain(
    place: Place, table: dict[str, Any], struct_type: type[Any], message: str
) -> ConfigError:
    reason, _, path = message.partition(" - at `$.")
    missing = re.search(r"missing required field `(\w+)`", reason)
    key = missing[1] if missing else path.rstrip("`")
    name = re.split(r"[.\[]", key)[0]
    expected = _find_description(get_type_hints(struct_type, include_extras=True)[name])
    if missing:
        return place.at(key).refuse(f"missing; expected {expected or 'a value'}")
    if expected is None:
        return place.at(key).refuse(reason[:1].lower() + reason[1:])
    found = describe(table[name], is_shown=name in SHOWN_KEYS)
    if key != name:
        found += " with something else in it"
    return place.at(name).refuse(f"found {found}, expected {expected}")


def _find_description(hint: Any) -> str | None:
    """The description in an annotated type, or in one of a union."""
    for meta in getattr(hint, "__metadata__", ()):
        if isinstance(meta, Meta) and meta.description:
            return meta.description
    found = (_find_description(option) for option in get_args(hint))
    return next((description for description in found if description), None)


def list_keys(struct_type: type[Any]) -> tuple[str, ...]:
    return tuple(field.encode_name for field in msgspec.structs.fields(struct_type))


def check_keys(place: Place, table: dict[str, Any], known: Sequence[str]) -> None:
    check_secrets(place, table, known)
    for key in table:
        if key not in known:
            raise place.at(key).refuse(f"unknown key; {suggest(key, known)}")


def check_secrets(place: Place, table: dict[str, Any], known: Sequence[str]) -> None:
    for key in table:
        if key not in known and SECRET_KEY.search(re.sub(r"[^a-z]", "", key.lower())):
            raise place.at(key).refuse(
                "a secret does not belong into this file; put it into an environment variable and "
                'write its name: token_env = "NAME"'
            )


def suggest(name: str, known: Iterable[str]) -> str:
    """The known name that was meant, or all of them."""
    names = sorted(known)
    return hint(name, names).removeprefix("; ") or f"expected one of {', '.join(names)}"


def hint(name: str, known: Iterable[str]) -> str:
    """`; did you mean …?` where a known name is close; nothing otherwise."""
    close = difflib.get_close_matches(name, known, n=1)
    return f'; did you mean "{close[0]}"?' if close else ""


def join_names(names: Iterable[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


def describe(value: Any, is_shown: bool = False) -> str:
    """A value of the file for a message; a text only if it cannot be a secret."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, str):
        return f'"{value[:40]}"' if is_shown else "a text"
    if isinstance(value, dict | list):
        return "a table" if isinstance(value, dict) else "a list"
    return str(value)
