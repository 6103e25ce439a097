"""Looks for secrets in whatever was written: in bytes, in stores, in Parquet."""

import base64
import contextlib
import html
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import duckdb
import pyarrow.parquet as pq

_ZEROS = re.compile(rb"\0{16,}")


def find_secrets(secrets: Mapping[str, str], written: Mapping[str, bytes]) -> list[str]:
    """Which secret was found where, in which encoding."""
    found = []
    for name, secret in secrets.items():
        for encoding, form in list_encodings(secret).items():
            found += [
                f"{name} ({encoding}) in {place}"
                for place, content in written.items()
                if form in content
            ]
    return found


def list_encodings(secret: str) -> dict[bytes | str, bytes]:
    """A secret as it is and as programs write it, each form once."""
    forms = {
        "raw": secret,
        "JSON": json.dumps(secret)[1:-1],
        "JSON beyond ASCII": json.dumps(secret, ensure_ascii=False)[1:-1],
        "JSON in JSON": json.dumps(json.dumps(secret))[3:-3],
        "URL": quote(secret, safe=""),
        "URL, path": quote(secret),
        "URL, query": quote_plus(secret),
        "HTML": html.escape(secret),
    }
    for shift in range(3):
        core = cut_base64(secret.encode(), shift)
        forms[f"base64, {shift}"] = core
        forms[f"base64, URL, {shift}"] = core.translate(str.maketrans("+/", "-_"))
    once = {form: encoding for encoding, form in reversed(forms.items())}
    return {encoding: form.encode() for form, encoding in once.items()}


def cut_base64(raw: bytes, shift: int) -> str:
    """Base64 of anything with `raw` behind 3n + shift bytes, without the letters at its ends that
    hold bits of something else."""
    coded = base64.b64encode(b"\0" * shift + raw).decode()
    whole = (shift + len(raw)) * 8 // 6
    return coded[-(-shift * 8 // 6) : whole]


def read_folder(folder: Path) -> dict[str, bytes]:
    """Each file below a folder as its bytes, without long runs of zeros."""
    return {
        str(path.relative_to(folder)): _ZEROS.sub(b"\0", path.read_bytes())
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def read_tables(store: Path) -> dict[str, bytes]:
    """Each table of a store as text: its file is compressed."""
    with duckdb.connect(str(store), read_only=True) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        names = connection.execute(
            "SELECT schema_name || '.' || table_name FROM duckdb_tables() ORDER BY ALL"
        ).fetchall()
        return {
            f"{store.name}, {name}": join_values(
                connection.execute(f"SELECT COLUMNS(*)::VARCHAR FROM {name}").fetchall()
            )
            for (name,) in names
        }


def read_parquet(folder: Path) -> dict[str, bytes]:
    """Each Parquet file as text."""
    return {
        str(path.relative_to(folder)): join_values(pq.read_table(path).to_pylist())
        for path in sorted(folder.rglob("*.parquet"))
    }


def join_values(rows: Iterable[Any]) -> bytes:
    return "\n".join(list_values(rows)).encode("utf-8", "surrogatepass")


def list_values(value: Any) -> Iterator[str]:
    """The texts inside rows; what is JSON also as what its strings mean."""
    match value:
        case dict():
            yield from list_values(list(value.items()))
        case list() | tuple():
            for inner in value:
                yield from list_values(inner)
        case str():
            yield value
            with contextlib.suppress(ValueError):
                yield from list_values(json.loads(value) if "\\" in value else None)
        case None:
            return
        case _:
            yield str(value)
