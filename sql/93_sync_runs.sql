-- What did each run of the sync do to each stream?
SELECT
    run_id,
    source,
    stream,
    mode,
    started_at,
    ended_at,
    (epoch_us(ended_at) - epoch_us(started_at)) / 1e6 AS duration_s,
    state,
    exit_code,
    error,
    pages,
    requests,
    retries,
    slept_s,
    rows_new,
    rows_changed,
    rows_unchanged,
    rows_quarantined,
    (rows_new + rows_changed + rows_unchanged) / nullif(duration_s, 0) AS rows_per_s,
    redactions,
    received_bytes,
    covered_s
FROM etl.runs
ORDER BY started_at DESC, source, stream
