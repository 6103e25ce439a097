"""The demo's executions into DuckDB by dlt, set up for speed: `dlt_load.py URL FOLDER`.

It runs in an environment of its own; nothing else here needs dlt.
"""

import os
import sys

SETTINGS = {
    "RUNTIME__DLTHUB_TELEMETRY": "false",
    "NORMALIZE__LOADER_FILE_FORMAT": "parquet",
    "NORMALIZE__WORKERS": "2",
    "DATA_WRITER__BUFFER_MAX_ITEMS": "20000",
    "EXTRACT__DATA_WRITER__FILE_MAX_ITEMS": "50000",
}
FREE_JSON = ("details__request__input", "details__request__env", "details__response__output")


def load(base_url: str, folder: str) -> None:
    os.environ.update(SETTINGS)
    import dlt
    from dlt.sources.rest_api import rest_api_source

    source = rest_api_source(
        {
            "client": {"base_url": base_url, "auth": {"type": "bearer", "token": "demo-token"}},
            "resources": [
                {
                    "name": "executions",
                    "primary_key": "id",
                    "write_disposition": {"disposition": "merge", "strategy": "upsert"},
                    "columns": {name: {"data_type": "json"} for name in FREE_JSON},
                    "endpoint": {
                        "path": "v1/executions",
                        "params": {"limit": 100},
                        "data_selector": "data",
                        "paginator": {
                            "type": "cursor",
                            "cursor_path": "data[-1].id",
                            "cursor_param": "starting_after",
                        },
                    },
                }
            ],
        }
    )
    target = dlt.destinations.duckdb(f"{folder}/dlt.duckdb")
    dlt.pipeline("bench", destination=target, dataset_name="api").run(source)


if __name__ == "__main__":
    load(*sys.argv[1:])
