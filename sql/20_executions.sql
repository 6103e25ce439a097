-- What ran, on every platform, in the same words?
SELECT
    source,
    kind,
    stream,
    execution_id,
    name,
    type,
    language,
    started_at,
    ended_at,
    duration_ms,
    queue_ms,
    outcome,
    error_type,
    error_message,
    exit_code,
    source_status,
    attempt,
    first_synced_at,
    synced_at
FROM mapped_executions
