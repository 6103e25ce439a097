-- How do Foundry's executions read in the words every platform shares?
SELECT
    source,
    'foundry' AS kind,
    stream,
    -- The API has no id: what tells one execution from another stands in its place.
    resource_rid || '/' || foundry_trace_id || '/' || trace_owning_rid || '/'
    || strftime(make_timestamp(epoch_us(started_at)), '%Y-%m-%dT%H:%M:%S.%fZ') AS execution_id,
    resource_rid AS name,
    nullif(split_part(resource_rid, '.', 4), '') AS type,
    CAST(NULL AS VARCHAR) AS language,
    started_at,
    make_timestamptz(epoch_us(started_at) + 1000 * valid_duration_ms) AS ended_at,
    valid_duration_ms AS duration_ms,
    CAST(NULL AS BIGINT) AS queue_ms,
    -- A reason may stand beside a success, too: only the status tells.
    CASE
        WHEN status = 'SUCCEEDED' THEN 'success'
        WHEN status = 'FAILED' AND failure_reason = 'timeout' THEN 'timeout'
        WHEN status = 'FAILED' THEN 'failure'
        ELSE 'unknown'
    END AS outcome,
    CASE WHEN status = 'FAILED' THEN failure_reason END AS error_type,
    CAST(NULL AS VARCHAR) AS error_message,
    CAST(NULL AS BIGINT) AS exit_code,
    status AS source_status,
    CAST(NULL AS BIGINT) AS attempt,
    first_synced_at,
    synced_at,
    resource_version AS version
FROM (
    SELECT
        *,
        -- What is negative, or longer than a century, is no measurement.
        CASE WHEN duration_ms BETWEEN 0 AND 3_155_760_000_000 THEN duration_ms END
            AS valid_duration_ms
    FROM foundry.executions
)
