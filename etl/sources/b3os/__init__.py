"""B3OS Workflow API: `GET /v1/executions`, and `GET /v1/runs` if asked for.

Order: not documented; detected. Paging: offset and limit, `hasMore`; no filter, no sort, so rows
that come and go shift all behind them. Limit: 100 a page. Inside an envelope whose `code` is the
HTTP status, or begins with it (400228). Statuses grow; a retry reopens a finished execution.
Source: OpenAPI of the B3OS Workflow API; docs.b3os.org.
"""

from etl.sources.b3os.options import Options
from etl.sources.b3os.pages import (
    BASE_URL,
    fetch_page,
    fetch_record,
    find_record_type,
    list_streams,
)
from etl.sources.b3os.tables import TABLES, flatten

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
