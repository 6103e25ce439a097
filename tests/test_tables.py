"""Rows as Arrow tables of the columns' types."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl.pending import hash_content
from etl.records import EPOCH, Column, Flat
from etl.tables import build_arrow
from tests.store.things import NOON

EVERY_TYPE = (
    Column("text", "VARCHAR"),
    Column("body", "JSON"),
    Column("list", "VARCHAR[]"),
    Column("number", "BIGINT"),
    Column("share", "DOUBLE"),
    Column("flag", "BOOLEAN"),
    Column("moment", "TIMESTAMPTZ"),
)


def test_a_table_without_rows_has_its_columns() -> None:
    table = build_arrow(EVERY_TYPE, [])

    assert table.column_names == [column.name for column in EVERY_TYPE]
    assert table.num_rows == 0


values = st.tuples(
    st.none() | st.text(st.characters(exclude_categories=["Cs"])),
    st.none() | st.just('{"a": 1}'),
    st.none() | st.lists(st.none() | st.text(st.characters(exclude_categories=["Cs"]))),
    st.none() | st.integers(-(2**63), 2**63 - 1),
    st.none() | st.floats(allow_nan=False),
    st.none() | st.booleans(),
    st.none() | st.datetimes(timezones=st.just(UTC)),
)


@given(st.lists(values, max_size=5))
def test_values_of_every_type_stay_what_they_are(rows: list[tuple[Any, ...]]) -> None:
    table = build_arrow(EVERY_TYPE, rows)

    assert [tuple(row.values()) for row in table.to_pylist()] == rows


def test_a_time_is_the_same_moment_in_any_zone() -> None:
    elsewhere = NOON.astimezone(timezone(timedelta(hours=-5)))

    table = build_arrow((Column("moment", "TIMESTAMPTZ"),), [(elsewhere,), (NOON,)])

    assert table.column("moment").to_pylist() == [NOON, NOON]
    assert hash_content(Flat((elsewhere,)), None) == hash_content(Flat((NOON,)), None)


@pytest.mark.parametrize(
    "moment", [datetime(1, 1, 1, tzinfo=UTC), EPOCH, datetime.max.replace(tzinfo=UTC)]
)
def test_the_whole_calendar_can_be_stored(moment: datetime) -> None:
    table = build_arrow((Column("moment", "TIMESTAMPTZ"),), [(moment,)])

    assert table.column("moment").to_pylist() == [moment]
    assert isinstance(hash_content(Flat((moment,)), None), int)
