"""Palantir Foundry: `POST /api/v2/observability/resources/{rid}/listExecutions`, in preview.

Order: newest first. Paging: a token, good for the request it came from and for a while; a page
may come without `data`. Limit: 100 a page. Only completed executions are listed, by start time: a
long one appears late. There is no id and no way to retrieve a single execution. Source: API
reference on palantir.com, "List Executions Resource".
"""

from etl.sources.foundry.options import Options, check_config
from etl.sources.foundry.pages import (
    BASE_URL,
    fetch_page,
    fetch_record,
    find_record_type,
    list_streams,
)
from etl.sources.foundry.tables import TABLES, flatten

__all__ = [
    "BASE_URL",
    "TABLES",
    "Options",
    "check_config",
    "fetch_page",
    "fetch_record",
    "find_record_type",
    "flatten",
    "list_streams",
]
