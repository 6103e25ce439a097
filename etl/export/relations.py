"""Which files a table or view is to have, which of them are stale, and their rows."""

import contextlib
from dataclasses import dataclass
from urllib.parse import quote as quote_url

import duckdb
import msgspec

from etl.errors import ConfigError
from etl.export.places import Place, explain_place, open_place, quote
from etl.toml import hint

ROW_GROUP_ROWS = 122_880
TIME_COLUMNS = ("started_at", "run_after", "created_at")
WRITERS = {
    "parquet": f"FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {ROW_GROUP_ROWS}",
    "csv": "FORMAT csv, HEADER",
    "jsonl": "FORMAT json",
}


class Part(msgspec.Struct, frozen=True):
    """One exported file: what is in it, and the fingerprint of the rows it was made from."""

    file: str
    source: str | None
    day: str | None
    rows: int
    since: str | None
    until: str | None
    fingerprint: str


class Manifest(msgspec.Struct, frozen=True):
    """What an export left behind: its parts by partition, and files that have no rows any more."""

    format: str
    definition: str
    parts: dict[str, Part]
    emptied: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Exported:
    """What an export did: files written, left alone, removed."""

    written: int
    kept: int
    removed: int
    rows: int


@dataclass(frozen=True, slots=True)
class Shape:
    """How a relation is cut into files: by source and by day of `time`, where it has them."""

    name: str
    columns: tuple[str, ...]
    time: str | None

    @property
    def is_partitioned(self) -> bool:
        return self.time is not None and "source" in self.columns


def export_relation(
    connection: duckdb.DuckDBPyConnection,
    name: str,
    target: str,
    format_name: str = "parquet",
    is_full: bool = False,
) -> Exported:
    """Bring the files of one table or view below a folder or URL up to date.

    Raises ConfigError, StoreError.
    """
    shape = read_shape(connection, name)
    with explain_place(target):
        place = open_place(connection, target, name)
        before = read_manifest(place, format_name, shape)
        parts = list_parts(connection, shape, format_name)
        files = place.list_files()
        stale = [
            part
            for key, part in parts.items()
            if is_full or before.parts.get(key) != part or part.file not in files
        ]
        for part in stale:
            select = f"{_select(shape)} WHERE {_match(shape, part)} ORDER BY {_order(shape)}"
            place.write(part.file, select, WRITERS[format_name])
        kept = {part.file for part in parts.values()}
        others = files - kept - set(before.emptied)
        emptied = {file for file in sorted(others) if _remove(place, shape, file)}
        after = Manifest(
            format_name,
            _describe_definition(shape),
            parts,
            tuple(sorted((emptied | set(before.emptied)) - kept)),
        )
        if stale or others or before != after:
            place.write_manifest(msgspec.json.encode(after))
    rows = sum(part.rows for part in stale)
    return Exported(len(stale), len(parts) - len(stale), len(others), rows)


def read_manifest(place: Place, format_name: str, shape: Shape) -> Manifest:
    """What the last export left; nothing where there was none, or one of another kind of files."""
    definition = _describe_definition(shape)
    with contextlib.suppress(msgspec.DecodeError):
        found = msgspec.json.decode(place.read_manifest() or b"", type=Manifest)
        if (found.format, found.definition) == (format_name, definition):
            return found
    return Manifest(format_name, definition, {})


def _remove(place: Place, shape: Shape, file: str) -> bool:
    options = WRITERS.get(file.rpartition(".")[2], WRITERS["parquet"])
    return place.remove(file, f"{_select(shape)} WHERE false", options)


def read_shape(connection: duckdb.DuckDBPyConnection, name: str) -> Shape:
    """The columns of a table or view. Raises ConfigError if there is none of that name."""
    try:
        rows = connection.execute(f"DESCRIBE FROM {_quote(name)}").fetchall()
    except duckdb.CatalogException as error:
        meant = hint(name, list_relations(connection)) or "; see: etl views"
        raise ConfigError(f'there is no table or view "{name}"{meant}') from error
    columns = tuple(row[0] for row in rows)
    times = {row[0] for row in rows if row[1] == "TIMESTAMP WITH TIME ZONE"}
    time = next((column for column in TIME_COLUMNS if column in times), None)
    return Shape(name, columns, time)


def list_relations(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """The names of all tables and views, as they are asked for."""
    rows = connection.execute(
        """
        SELECT if(table_schema = 'main', table_name, table_schema || '.' || table_name)
        FROM information_schema.tables
        """
    ).fetchall()
    return [name for (name,) in rows]


def list_parts(
    connection: duckdb.DuckDBPyConnection, shape: Shape, format_name: str
) -> dict[str, Part]:
    """The parts a relation has now, by partition, each with a fingerprint of its rows.

    The fingerprint does not depend on the order of rows: a sum of hashes, with their number.
    """
    group = f"GROUP BY source, {_day(shape)}" if shape.is_partitioned else ""
    time = f'"{shape.time}"' if shape.time else "NULL::TIMESTAMPTZ"
    rows = connection.execute(
        f"""
        SELECT
            {"source" if shape.is_partitioned else "NULL"},
            {f"{_day(shape)}::VARCHAR" if shape.is_partitioned else "NULL"},
            count(*),
            min({time})::VARCHAR,
            max({time})::VARCHAR,
            coalesce(sum(hash(relation)::HUGEINT), 0)::VARCHAR
        FROM {_quote(shape.name)} AS relation
        {group}
        """
    ).fetchall()
    parts = {}
    for source, day, count, since, until, fingerprint in rows:
        key = "" if source is None else make_path(source, day)
        file = f"{key}/rows.{format_name}".lstrip("/")
        parts[key] = Part(file, source, day, count, since, until, fingerprint)
    return parts


def make_path(source: str, day: str | None) -> str:
    """The folder of a partition, in the form that readers of hive partitions expect."""
    return f"source={quote_url(source, safe='')}/day={day or '__HIVE_DEFAULT_PARTITION__'}"


def _day(shape: Shape) -> str:
    return f"""("{shape.time}" AT TIME ZONE 'UTC')::DATE"""


def _select(shape: Shape) -> str:
    columns = "* EXCLUDE (source)" if shape.is_partitioned else "*"
    return f"SELECT {columns} FROM {_quote(shape.name)}"


def _order(shape: Shape) -> str:
    return f'"{shape.time}"' if shape.time else "ALL"


def _match(shape: Shape, part: Part) -> str:
    """The rows of a part; the day as a range of time, so that the others are not read."""
    if part.source is None:
        return "true"
    source = f"source = {quote(part.source)}"
    if part.day is None:
        return f'{source} AND "{shape.time}" IS NULL'
    begin = f"TIMESTAMPTZ {quote(part.day + ' 00:00:00+00')}"
    return f'{source} AND "{shape.time}" >= {begin} AND "{shape.time}" < {begin} + INTERVAL 24 HOUR'


def _describe_definition(shape: Shape) -> str:
    return ", ".join(shape.columns)


def _quote(name: str) -> str:
    return ".".join(f'"{part}"' for part in name.split("."))
