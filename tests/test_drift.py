"""What an API sends that it does not document is found, and told by its path."""

import pytest

from etl.drift import find_drift, list_paths
from etl.records import Column, Flat, Table
from etl.sources import airflow, b3os, foundry, riza

TABLE = Table(
    "x.things",
    (
        Column("id", "VARCHAR"),
        Column("language", "VARCHAR", known=("python", "php")),
        Column("status", "VARCHAR", known=("ok",)),
    ),
)


def test_documented_values_and_missing_ones_are_no_drift() -> None:
    assert find_drift(TABLE, Flat(("1", "python", None)), None) == []


def test_an_unknown_value_is_told_with_its_column() -> None:
    assert find_drift(TABLE, Flat(("1", "cobol", "OK")), None) == [
        ("language", "cobol"),
        ("status", "OK"),
    ]


def test_a_long_value_is_told_by_its_beginning() -> None:
    assert find_drift(TABLE, Flat(("1", "x" * 500, None)), None) == [("language", "x" * 100)]


def test_unknown_fields_are_told_by_their_path_once_for_a_whole_list() -> None:
    extra = '{"a.b[0].c":1,"a.b[12].c":2,"a.b[0].d[3]":{"e":[1]},"f":null}'

    assert list_paths(extra) == ["a.b[*].c", "a.b[*].d[*]", "f"]
    assert find_drift(TABLE, Flat(("1", "python", "ok")), extra) == [
        ("a.b[*].c", None),
        ("a.b[*].d[*]", None),
        ("f", None),
    ]


def test_two_tables_do_not_share_their_values() -> None:
    other = Table(
        "x.others", (Column("id", "VARCHAR"), Column("language", "VARCHAR", known=("c",)))
    )

    assert find_drift(TABLE, Flat(("1", "c", None)), None) == [("language", "c")]
    assert find_drift(other, Flat(("1", "c")), None) == []


@pytest.mark.parametrize(
    ("table", "column"),
    [
        (riza.TABLES[0], "type"),
        (riza.TABLES[0], "language"),
        (riza.TABLES[0], "output_status"),
        (airflow.TABLES[0], "state"),
        (airflow.TABLES[1], "state"),
        (b3os.TABLES[0], "status"),
        (b3os.TABLES[1], "status"),
        (foundry.TABLES[0], "status"),
        (foundry.TABLES[0], "duration_unit"),
    ],
)
def test_a_new_word_of_each_kind_is_counted(table: Table, column: str) -> None:
    row = tuple("brand_new" if each.name == column else None for each in table.columns)

    assert find_drift(table, Flat(row), None) == [(column, "brand_new")]
