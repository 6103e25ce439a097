"""Riza Code Interpreter: `GET /v1/executions`.

Order: not documented; detected. Paging: `starting_after` the last id, an empty page ends the
list. Limit: 100 a page. No time filter. `details` may be missing in the list and is then
retrieved by id. Source: docs.riza.io, OpenAPI 0.1.4; package rizaio 0.12.
"""

from etl.sources.riza.options import Options
from etl.sources.riza.pages import (
    BASE_URL,
    fetch_page,
    fetch_record,
    find_record_type,
    list_streams,
)
from etl.sources.riza.tables import TABLES, flatten

__all__ = [
    "BASE_URL",
    "TABLES",
    "Options",
    "fetch_page",
    "fetch_record",
    "find_record_type",
    "flatten",
    "list_streams",
]
