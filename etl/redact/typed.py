"""Known places: the columns that hold a secret by their nature."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from etl.redact.echoes import ECHO_LEAST_CHARS, is_harmless
from etl.redact.fingerprint import make_fingerprint
from etl.redact.payload import looks_like_json, redact_names
from etl.redact.shapes import list_connection_passwords

Row = tuple[Any, ...]
SecretPlace = tuple[int, int | None]
"""Where a secret column stands in a row, and where the column that names the secret."""


class Fingerprinted(NamedTuple):
    """Rows with fingerprints, table by table; `secrets` are what to look for elsewhere."""

    tables: tuple[list[Row], ...]
    secrets: tuple[str, ...]
    replaced: int


def fingerprint_tables(
    key: bytes,
    secret_places: Sequence[Sequence[SecretPlace]],
    table_places: Sequence[int],
    tables: Sequence[Sequence[Row]],
) -> Fingerprinted:
    """Replace each value of the secret columns.

    `secret_places` are those columns, for each table there is; `table_places` are which of these
    tables are given. The others come back empty.
    """
    safe: list[list[Row]] = [[] for _ in secret_places]
    secrets: list[str] = []
    replaced = 0
    for table_place, rows in zip(table_places, tables, strict=True):
        for row in rows:
            values = list(row)
            for place, label in secret_places[table_place]:
                secret = values[place]
                if secret:
                    values[place] = make_fingerprint(key, secret)
                    replaced += 1
                    if not is_harmless(None if label is None else row[label], secret):
                        secrets += list_inner_secrets(key, secret)
            safe[table_place].append(tuple(values))
    return Fingerprinted(tuple(safe), tuple(secrets), replaced)


def list_inner_secrets(key: bytes, secret: str) -> list[str]:
    """A secret and those inside it: the password of an address, the private parts of a JSON."""
    found = [secret]
    if "@" in secret:
        found += list_connection_passwords(secret)
    if looks_like_json(secret):
        found += redact_names(key, secret).secrets
    return [each for each in found if len(each) >= ECHO_LEAST_CHARS]
