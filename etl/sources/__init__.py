"""The kinds of sources: one module each. To add one, write its module and name it here.

Each is a package whose `__init__` names what `Source` asks for:

    options   the keys of its configuration that no other kind has
    records   what the API sends, as structs
    tables    what is stored of it, and one record as rows
    pages     the lists, one page of them, one record by its id
"""

from typing import Any, Protocol

from etl.http import Client
from etl.records import Flat, Gap, Page, SourceConfig, Stream, Table
from etl.sources import airflow, b3os, foundry, riza


class Source(Protocol):
    """What a module in sources/ defines."""

    @property
    def BASE_URL(self) -> str | None:
        """Where the API lives, if it has one address for everybody."""

    @property
    def TABLES(self) -> tuple[Table, ...]:
        """Every table that holds one row per record."""

    @property
    def Options(self) -> Any:
        """A msgspec struct of the configuration keys that only this kind has."""

    def list_streams(self, config: SourceConfig) -> tuple[Stream, ...]:
        """The lists of this source that have a position of their own."""

    def fetch_page(
        self, client: Client, config: SourceConfig, stream: Stream, gap: Gap, position: str | None
    ) -> Page:
        """The page at `position`, or the first one of the gap. Holds no state."""

    def fetch_record(
        self, client: Client, config: SourceConfig, stream: Stream, record_id: str
    ) -> Page:
        """One record by its id, as a page of one; PositionLost if the API does not have it."""

    def find_record_type(self, stream: Stream) -> type[Any]:
        """The msgspec struct that a record of the stream is decoded to."""

    def flatten(self, record: Any) -> Flat:
        """The rows of one record. Pure: no clock, no network, no state."""


SOURCES: dict[str, Source] = {
    "airflow": airflow,
    "b3os": b3os,
    "foundry": foundry,
    "riza": riza,
}


def list_tables() -> tuple[Table, ...]:
    """The tables of every kind."""
    return tuple(table for source in SOURCES.values() for table in source.TABLES)
