-- Which tasks of Airflow fail, and how often are they tried?
WITH counted AS (
    SELECT
        source,
        dag_id,
        task_id,
        count(*) AS executions,
        count(*) FILTER (state = 'success') AS succeeded,
        count(*) FILTER (state = 'failed') AS failed,
        count(*) FILTER (state IN ('skipped', 'removed')) AS skipped,
        -- It never ran: the task before it is the one that failed.
        count(*) FILTER (state = 'upstream_failed') AS upstream_failed,
        -- Airflow gives a task that waits to be scheduled no state.
        count(*) FILTER (
            state IS NULL
            OR state IN (
                'scheduled',
                'queued',
                'running',
                'restarting',
                'up_for_retry',
                'up_for_reschedule',
                'deferred',
                'awaiting_input'
            )
        ) AS running,
        executions - succeeded - failed - skipped - upstream_failed - running AS unknown,
        succeeded + failed AS finished,
        count(*) FILTER (state IN ('success', 'failed') AND try_number > 1) AS retried,
        count(*) FILTER (state = 'success' AND try_number > 1) AS recovered_by_retry,
        avg(try_number) FILTER (state IN ('success', 'failed')) AS tries_per_run,
        max(start_date) FILTER (state = 'failed') AS last_failure_at
    FROM airflow.task_instances
    GROUP BY source, dag_id, task_id
)

SELECT
    source,
    dag_id,
    task_id,
    executions,
    succeeded,
    failed,
    skipped,
    upstream_failed,
    unknown,
    running,
    finished,
    failed / nullif(finished, 0) AS failure_rate,
    wilson_low(failed, succeeded) AS failure_rate_low,
    wilson_high(failed, succeeded) AS failure_rate_high,
    finished < 30 AS low_sample,
    retried,
    recovered_by_retry,
    tries_per_run,
    last_failure_at
FROM counted
