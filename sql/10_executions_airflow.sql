-- How do Airflow's dag runs read in the words every platform shares?
WITH runs AS (
    SELECT
        *,
        -- What is negative, or longer than a century, is no measurement.
        CASE WHEN duration_s BETWEEN 0 AND 3_155_760_000 THEN duration_s END AS valid_duration_s,
        CASE
            WHEN start_date >= queued_at THEN epoch_us(start_date) - epoch_us(queued_at)
        END AS queue_us
    FROM airflow.dag_runs
)

SELECT
    source,
    'airflow' AS kind,
    stream,
    dag_id || '/' || dag_run_id AS execution_id,
    dag_id AS name,
    run_type AS type,
    CAST(NULL AS VARCHAR) AS language,
    -- A run that waits, or was given up before it began, stands where it was asked for.
    coalesce(start_date, queued_at, run_after, logical_date) AS started_at,
    end_date AS ended_at,
    CAST(round(1e3 * valid_duration_s) AS BIGINT) AS duration_ms,
    CAST(round(queue_us / 1e3) AS BIGINT) AS queue_ms,
    CASE
        WHEN state = 'success' THEN 'success'
        WHEN state = 'failed' THEN 'failure'
        WHEN state IN ('queued', 'running') THEN 'running'
        ELSE 'unknown'
    END AS outcome,
    -- The API has no error text of a run: task_failure_rate tells which task failed.
    CAST(NULL AS VARCHAR) AS error_type,
    CAST(NULL AS VARCHAR) AS error_message,
    CAST(NULL AS BIGINT) AS exit_code,
    state AS source_status,
    CAST(NULL AS BIGINT) AS attempt,
    first_synced_at,
    synced_at,
    dag_versions ->> '$[#-1].version_number' AS version,
    -- Each scheduled run is for a date of its own, a manual one is told by what it was given.
    CASE
        WHEN conf IS NOT NULL THEN hash(
            dag_id,
            dag_versions,
            conf,
            partition_key,
            CASE WHEN run_type <> 'manual' THEN coalesce(logical_date, run_after) END
        )
        ELSE CAST(kept_metrics ->> 'work_id' AS UBIGINT)
    END AS work_id,
    coalesce(measure_bytes(conf), CAST(kept_metrics ->> 'input_bytes' AS BIGINT)) AS input_bytes,
    coalesce(count_fingerprints(conf), CAST(kept_metrics ->> 'redactions' AS BIGINT))
        AS redactions
FROM runs
