-- How long do Airflow's tasks take, and how long do they wait in the queue?
WITH measured AS (
    SELECT
        source,
        dag_id,
        task_id,
        count(*) FILTER (state = 'success') AS executions,
        quantile_cont(1e3 * duration_s, [0.5, 0.9, 0.95, 0.99]) FILTER (state = 'success') AS q,
        max(1e3 * duration_s) FILTER (state = 'success') AS max_ms,
        count(*) AS all_executions,
        quantile_cont(1e3 * duration_s, [0.5, 0.9, 0.95, 0.99]) AS all_q,
        max(1e3 * duration_s) AS all_max_ms,
        count(*) FILTER (start_date >= queued_when) AS queued,
        quantile_cont((epoch_us(start_date) - epoch_us(queued_when)) / 1e3, [0.5, 0.95])
            FILTER (start_date >= queued_when) AS queue_q
    FROM airflow.task_instances
    WHERE
        state IN ('success', 'failed')
        -- What is negative, or longer than a century, is no measurement.
        AND duration_s BETWEEN 0 AND 3_155_760_000
    GROUP BY source, dag_id, task_id
)

-- Below 5 samples a quantile is only a number.
SELECT
    source,
    dag_id,
    task_id,
    executions,
    CASE WHEN executions >= 5 THEN q[1] END AS p50_ms,
    CASE WHEN executions >= 5 THEN q[2] END AS p90_ms,
    CASE WHEN executions >= 5 THEN q[3] END AS p95_ms,
    CASE WHEN executions >= 5 THEN q[4] END AS p99_ms,
    CASE WHEN executions >= 5 THEN max_ms END AS max_ms,
    all_executions,
    CASE WHEN all_executions >= 5 THEN all_q[1] END AS all_p50_ms,
    CASE WHEN all_executions >= 5 THEN all_q[2] END AS all_p90_ms,
    CASE WHEN all_executions >= 5 THEN all_q[3] END AS all_p95_ms,
    CASE WHEN all_executions >= 5 THEN all_q[4] END AS all_p99_ms,
    CASE WHEN all_executions >= 5 THEN all_max_ms END AS all_max_ms,
    queued,
    CASE WHEN queued >= 5 THEN queue_q[1] END AS queue_p50_ms,
    CASE WHEN queued >= 5 THEN queue_q[2] END AS queue_p95_ms
FROM measured
