-- How do B3OS's executions and runs read in the words every platform shares?
WITH listed AS (
    SELECT
        source,
        stream,
        id AS execution_id,
        workflow_id AS name,
        nullif(initiated_by_type, '') AS type,
        created_at,
        started_at,
        finished_at,
        status,
        nullif(status_reason, '') AS message,
        coalesce(payment_status, '') <> '' OR coalesce(checkout_session_id, '') <> '' AS is_paid,
        request_payload,
        response_payload,
        CAST(NULL AS VARCHAR) AS version,
        first_synced_at,
        synced_at,
        kept_metrics
    FROM b3os.executions
    UNION ALL BY NAME
    SELECT
        source,
        stream,
        id AS execution_id,
        workflow_id AS name,
        nullif(trigger_source, '') AS type,
        started_at,
        finished_at,
        status,
        nullif(summary, '') AS message,
        CAST(workflow_version AS VARCHAR) AS version,
        first_synced_at,
        synced_at
    FROM b3os.runs AS runs
    -- An execution's own run is that execution, rehearsals are none.
    ANTI JOIN b3os.executions AS executions
        ON executions.source = runs.source AND executions.run_id = runs.id
    WHERE
        NOT coalesce(is_simulation, FALSE)
        AND NOT coalesce(is_dust_test, FALSE)
),

judged AS (
    SELECT
        *,
        CASE
            WHEN status IN ('workflow_succeeded', 'success') THEN 'success'
            WHEN status IN ('workflow_failed', 'failure') THEN 'failure'
            WHEN status IN ('workflow_partial', 'partial') THEN 'failure'
            WHEN status IN ('workflow_cancelled', 'cancelled') THEN 'cancellation'
            WHEN status IN ('awaiting_payment', 'payment_confirmed') THEN 'running'
            WHEN status IN ('workflow_queued', 'workflow_running', 'workflow_waiting')
                THEN 'running'
            WHEN status IN ('running', 'waiting') THEN 'running'
            ELSE 'unknown'
        END AS outcome,
        -- One that runs again after a retry still has the time at which it had finished before.
        CASE WHEN outcome <> 'running' THEN finished_at END AS ended_at,
        epoch_us(ended_at) - epoch_us(started_at) AS duration_us,
        epoch_us(started_at) - epoch_us(created_at) AS wait_us,
        concat(CAST(request_payload AS VARCHAR), CAST(response_payload AS VARCHAR)) AS payload
    FROM listed
)

SELECT
    source,
    'b3os' AS kind,
    stream,
    execution_id,
    name,
    type,
    CAST(NULL AS VARCHAR) AS language,
    -- One that waits, or was given up before it began, stands where it was made.
    coalesce(started_at, created_at) AS started_at,
    ended_at,
    -- Clocks of several machines: what is negative, or longer than a century, is no measurement.
    CASE
        WHEN duration_us BETWEEN 0 AND 3_155_760_000_000_000
            THEN CAST(round(duration_us / 1e3) AS BIGINT)
    END AS duration_ms,
    CASE WHEN wait_us >= 0 AND NOT is_paid THEN CAST(round(wait_us / 1e3) AS BIGINT) END
        AS queue_ms,
    outcome,
    CASE WHEN outcome = 'failure' THEN status END AS error_type,
    CASE WHEN outcome = 'failure' THEN left(message, 1000) END AS error_message,
    CAST(NULL AS BIGINT) AS exit_code,
    status AS source_status,
    CAST(NULL AS BIGINT) AS attempt,
    first_synced_at,
    synced_at,
    version,
    -- What was computed from a payload before that was pruned is kept.
    CASE
        WHEN request_payload IS NOT NULL THEN hash(name, request_payload)
        ELSE CAST(kept_metrics ->> 'work_id' AS UBIGINT)
    END AS work_id,
    coalesce(
        measure_bytes(request_payload), CAST(kept_metrics ->> 'input_bytes' AS BIGINT)
    ) AS input_bytes,
    coalesce(
        measure_bytes(response_payload), CAST(kept_metrics ->> 'output_bytes' AS BIGINT)
    ) AS output_bytes,
    coalesce(CAST(kept_metrics ->> 'redactions' AS BIGINT), count_fingerprints(payload))
        AS redactions,
    -- When the payment came is not told: where one was asked for, that is what the wait was for.
    CASE WHEN wait_us >= 0 AND is_paid THEN CAST(round(wait_us / 1e3) AS BIGINT) END AS payment_ms
FROM judged
