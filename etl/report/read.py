"""The store -> figures."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from itertools import groupby
from typing import Any, TypeVar

import duckdb
import msgspec

from etl.errors import ConfigError
from etl.records import to_epoch_us
from etl.report import questions
from etl.report.figures import (
    Day,
    Failing,
    Figures,
    Hour,
    Listing,
    Named,
    Period,
    Rate,
    Slow,
    SourceDays,
    Stream,
    Totals,
)

Row = TypeVar("Row")
NOTHING = Totals(0, 0, Rate(), None, None, 0.0, 0.0)


def read_figures(
    connection: duckdb.DuckDBPyConnection, sources: Sequence[str], days: int, now: datetime
) -> Figures:
    """The figures of the last `days` days. Without sources: of all. Raises ConfigError."""
    chosen = choose_sources(connection, sources)
    now_us = to_epoch_us(now)
    (period,) = ask(connection, Period, questions.PERIOD, now=now_us, days=days)
    prepare_session(connection, chosen, period)
    current, before = read_totals(connection, period)
    since = {"since": period.since_us}
    return Figures(
        period,
        current,
        before,
        read_sources(connection, period),
        ask(connection, Hour, questions.HOURS),
        ask_listing(connection, Named, questions.NAMES),
        ask_listing(connection, Failing, questions.ERRORS, **since, is_past_known=before.is_known),
        ask(connection, Slow, questions.SLOWEST),
        ask_listing(connection, Stream, questions.STREAMS, **since, now=now_us),
    )


def choose_sources(
    connection: duckdb.DuckDBPyConnection, sources: Sequence[str]
) -> tuple[str, ...]:
    """The sources that are asked for, or all there are. Raises ConfigError for an unknown one."""
    known = [source for (source,) in connection.execute(questions.KNOWN_SOURCES).fetchall()]
    for source in sources:
        if source not in known:
            raise ConfigError(
                f'there is no source "{source}" in the store; it has {", ".join(known) or "none"}'
            )
    return tuple(dict.fromkeys(sources)) or tuple(known)


def prepare_session(
    connection: duckdb.DuckDBPyConnection, sources: Sequence[str], period: Period
) -> None:
    """The words that the questions use, and the executions of both periods without their texts."""
    connection.execute(questions.WORDS)
    connection.execute(questions.CHOSEN, {"sources": list(sources)})
    connection.execute(
        questions.SHOWN,
        {
            "first_day": period.first_day,
            "last_day": period.last_day,
            "previous_since": period.previous_since_us,
            "previous_until": period.previous_until_us,
        },
    )


def read_totals(connection: duckdb.DuckDBPyConnection, period: Period) -> tuple[Totals, Totals]:
    """The period as a whole, up to the day before today if it is to be known; the one before it."""
    edges = (
        (True, period.since_us, period.today_us),
        (False, period.previous_since_us, period.previous_until_us),
    )
    found = []
    for is_shown, since_us, until_us in edges:
        rows = ask(connection, Totals, questions.TOTALS, is_shown=is_shown)
        [(is_known,)] = connection.execute(
            questions.IS_KNOWN, {"since": since_us, "until": until_us}
        ).fetchall()
        found.append(replace(rows[0] if rows else NOTHING, is_known=is_known))
    return found[0], found[1]


def read_sources(connection: duckdb.DuckDBPyConnection, period: Period) -> Listing[SourceDays]:
    """The busiest sources, each with all of its days."""
    listing = ask_listing(connection, SourceDays, questions.SOURCES)
    shown = [source.source for source in listing.rows]
    days = ask(
        connection,
        Day,
        questions.DAYS,
        first_day=period.first_day,
        last_day=period.last_day,
        sources=shown,
    )
    by_source = {key: tuple(group) for key, group in groupby(days, lambda day: day.source)}
    rows = (replace(source, days=by_source[source.source]) for source in listing.rows)
    return Listing(tuple(rows), listing.total)


def ask(
    connection: duckdb.DuckDBPyConnection, kind: type[Row], sql: str, **parameters: Any
) -> tuple[Row, ...]:
    """The rows of a question, as values of a kind that has fields of the same names."""
    return ask_listing(connection, kind, sql, **parameters).rows


def ask_listing(
    connection: duckdb.DuckDBPyConnection, kind: type[Row], sql: str, **parameters: Any
) -> Listing[Row]:
    """The rows of a question that was cut; its column `total` says how many there are."""
    asked = connection.execute(sql, parameters or None)
    names = [column[0] for column in asked.description]
    found = [dict(zip(names, row, strict=True)) for row in asked.fetchall()]
    total = found[0].get("total", len(found)) if found else 0
    return Listing(tuple(msgspec.convert(row, kind) for row in found), total)
