"""SQL of the user: run it, show its rows, explain what is wrong with it."""

import contextlib
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import duckdb

from etl.cli.render import count_columns, print_records, print_table
from etl.cli.shell import Shell, say
from etl.cli.streams import FULL
from etl.errors import ConfigError
from etl.store.connect import is_damage

ROWS_SHOWN_MAX = 1_000
MESSAGE_LINES_MAX = 12
NUMERIC = re.compile(r"U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?|DOUBLE|FLOAT|DECIMAL.*|BIGNUM")
INEXACT = ("DOUBLE", "FLOAT")
CUTTABLE = re.compile(r"VARCHAR|JSON|BLOB|STRUCT|MAP|\[")
"""Half a number, or half a time, says something else."""
RECORDS_MAX = 20
WRITERS = {
    "csv": "FORMAT csv, HEADER true",
    "jsonl": "FORMAT json",
    "parquet": "FORMAT parquet, COMPRESSION zstd",
}


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement, and whether its rows can be a part of another one."""

    sql: str
    is_select: bool


def run_statements(connection: duckdb.DuckDBPyConnection, sql: str) -> Statement:
    """Run all statements but the last, which is returned. Raises ConfigError."""
    with explain_sql():
        statements = [
            Statement(cut_end(found.query), found.type == duckdb.StatementType.SELECT)
            for found in connection.extract_statements(sql)
        ]
        for statement in statements[:-1]:
            run(connection, statement.sql)
    if not statements:
        raise ConfigError("there is no SQL to run")
    return statements[-1]


def cut_end(sql: str) -> str:
    """A statement without its semicolon and what follows, so that it can stand in brackets."""
    text = sql.strip().encode()
    end = len(text)
    tokens = [t for t in duckdb.tokenize(text.decode()) if t[1] != duckdb.token_type.comment]
    while tokens and text[tokens[-1][0] :].startswith(b";"):
        end = tokens.pop()[0]
    return text[:end].decode()


def print_rows(shell: Shell, connection: duckdb.DuckDBPyConnection, sql: str) -> None:
    """The rows of a SELECT as a table; a warning if there are more than are shown."""
    with explain_sql(lines_before=1):
        described = run(connection, f"DESCRIBE FROM (\n{sql}\n)")
        names, types = [row[0] for row in described], [str(row[1]) for row in described]
        places = [f"c{place}" for place in range(len(names))]
        # As text every type can be shown; fractions stay numbers, to be rounded.
        values = ", ".join(
            place if kind in INEXACT else f"CAST({place} AS VARCHAR)"
            for place, kind in zip(places, types, strict=True)
        )
        rows = run(
            connection,
            f"SELECT {values} FROM (\n{sql}\n) AS result({', '.join(places)}) "
            f"LIMIT {ROWS_SHOWN_MAX + 1}",
        )
    show_rows(shell, names, types, rows[:ROWS_SHOWN_MAX])
    if len(rows) > ROWS_SHOWN_MAX:
        say(shell, "warning", f"these are the first {ROWS_SHOWN_MAX} rows; all: --format csv")


def show_rows(
    shell: Shell, names: Sequence[str], types: Sequence[str], rows: Sequence[Sequence[Any]]
) -> None:
    """As a table. Where it is too wide: a few rows one by one, of many the columns that fit."""
    is_right = [NUMERIC.fullmatch(kind) is not None for kind in types]
    can_be_cut = [CUTTABLE.search(kind) is not None for kind in types]
    fitting = count_columns(names, rows, can_be_cut)
    if fitting == len(names):
        print_table(names, rows, is_right, can_be_cut=can_be_cut)
    elif len(rows) <= RECORDS_MAX:
        print_records(names, rows)
    else:
        cut = [row[:fitting] for row in rows]
        print_table(names[:fitting], cut, is_right[:fitting], can_be_cut=can_be_cut[:fitting])
        rest = ", ".join(names[fitting:])
        say(shell, "warning", f"the terminal is too narrow for: {rest}; all: --format csv")


def print_statement(connection: duckdb.DuckDBPyConnection, sql: str) -> None:
    """What a statement that is no SELECT answers, such as EXPLAIN."""
    with explain_sql():
        for row in run(connection, sql):
            click.echo("\n".join(str(value) for value in row))


def write_rows(
    connection: duckdb.DuckDBPyConnection, sql: str, format_name: str, output: Path | None
) -> None:
    """The rows of a SELECT as a file, or on stdout: all of them, or nothing in case of an error."""
    is_device = output is not None and is_special(output)
    folder = None if output is None or is_device else output.absolute().parent
    with _make_folder(folder) as scratch:
        file = scratch / "rows"
        quoted = str(file).replace("'", "''")
        with explain_sql(lines_before=1):
            run(connection, f"COPY (FROM (\n{sql}\n)) TO '{quoted}' ({WRITERS[format_name]})")
        if output is not None:
            put_in_place(file, output, is_device)
            return
        with file.open("rb") as rows:
            sys.stdout.flush()
            shutil.copyfileobj(rows, sys.stdout.buffer)
            sys.stdout.flush()


def put_in_place(file: Path, output: Path, is_device: bool) -> None:
    """The finished file to where it was asked for. Raises ConfigError."""
    try:
        if not is_device:
            file.replace(output)
            return
        with file.open("rb") as rows, output.open("wb") as device:
            shutil.copyfileobj(rows, device)
    except OSError as error:
        if error.errno in FULL:
            raise
        raise ConfigError(f"{output}: cannot be written: {error.strerror}") from None


def is_special(path: Path) -> bool:
    """Whether there is a device or a pipe, which is written to and never replaced."""
    with contextlib.suppress(OSError):
        return path.exists() and not path.is_file()
    return False


def run(connection: duckdb.DuckDBPyConnection, sql: str) -> list[tuple[Any, ...]]:
    """The rows of a statement. Ctrl-C ends it, which DuckDB by itself does not always see to."""
    with ThreadPoolExecutor(1) as thread:
        rows = thread.submit(lambda: connection.execute(sql).fetchall())
        try:
            return rows.result()
        except KeyboardInterrupt:
            connection.interrupt()
            raise


@contextlib.contextmanager
def _make_folder(parent: Path | None) -> Iterator[Path]:
    """A folder for as long as it takes, on the disk where its file will stand."""
    try:
        folder = tempfile.TemporaryDirectory(prefix=".etl-", dir=parent)
    except OSError as error:
        raise ConfigError(f"{parent}: cannot be written: {error.strerror}") from None
    with folder as name:
        yield Path(name)


@contextlib.contextmanager
def explain_sql(lines_before: int = 0) -> Iterator[None]:
    """Turn what is wrong with the SQL into a ConfigError that shows where.

    `lines_before` are ours, before the first one of the user. What is wrong with the store itself
    passes through.
    """
    try:
        yield
    except (duckdb.OutOfMemoryException, duckdb.SerializationException):
        raise
    except duckdb.Error as error:
        # DuckDB 2 reports damage as a bare Error; what the SQL itself says is of other types.
        if is_damage(error) and (
            isinstance(error, duckdb.IOException) or type(error) is duckdb.Error
        ):
            raise
        raise ConfigError(describe_sql_error(str(error), lines_before)) from error


def describe_sql_error(message: str, lines_before: int) -> str:
    """DuckDB's message with the user's line numbers, without endless lists of candidates."""
    lines = [line for line in message.strip().splitlines() if line.strip()]
    place = next((i for i, line in enumerate(lines) if line.startswith("LINE ")), len(lines))
    kept = [*lines[:place][:MESSAGE_LINES_MAX], *lines[place:]]
    return re.sub(
        r"^LINE (\d+):",
        lambda found: f"LINE {int(found[1]) - lines_before}:",
        "\n".join(kept),
        flags=re.MULTILINE,
    )
