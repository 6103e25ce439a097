"""Tables and views as files for BI tools: rewritten where they changed, and nowhere else.

    DIR/executions/source=interpreter/day=2026-11-23/rows.parquet
    DIR/executions/_manifest.json    each file with rows, time range and what it was made from
    DIR/failure_rate_daily/rows.parquet     what has no source and time of its own is one file

relations   which files there are to be, which of them are stale
places      a folder, or an object store by way of DuckDB's own support

The manifest is written last: a reader never sees half a file, and an export that was killed is
repeated by the next one.
"""
