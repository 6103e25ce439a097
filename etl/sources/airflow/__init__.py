"""Airflow 3, REST API v2: dag runs and their task instances, of all DAGs.

Order: by internal id; the key time `updated_at` is a filter only, no record carries it. Paging:
keyset cursors since 3.3, offsets before. Limit: 100 a page (`maximum_page_limit`), larger ones are
clamped in silence. A bearer token; a wrong one is answered with 403. A changed note does not move
`updated_at`. Source: /openapi.json and code of apache-airflow 3.3.2, 3.1.8 and 3.0.6.
"""

from etl.sources.airflow.options import Options
from etl.sources.airflow.pages import (
    BASE_URL,
    fetch_page,
    fetch_record,
    find_record_type,
    list_streams,
)
from etl.sources.airflow.tables import TABLES, flatten

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
