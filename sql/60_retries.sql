-- How often was work tried again after a failure in the last 30 days, and did that help?
WITH totals AS (
    SELECT
        source,
        name,
        count(*) AS executions
    FROM works
    WHERE started_at >= (SELECT now - INTERVAL 30 DAY FROM clock)
    GROUP BY source, name
),

chains AS (
    SELECT
        source,
        name,
        count(*) AS retried_runs,
        CAST(sum(executions - 1) AS BIGINT) AS repeated_executions,
        CAST(sum(attempts - 1) AS BIGINT) AS retries,
        count(*) FILTER (is_recovered) AS recovered_by_retry
    FROM retry_chains
    GROUP BY source, name
)

SELECT
    totals.source,
    totals.name,
    totals.executions,
    totals.executions - coalesce(repeated_executions, 0) AS runs,
    coalesce(retried_runs, 0) AS retried_runs,
    coalesce(chains.retries, 0) AS retries,
    1 + coalesce(chains.retries, 0) / runs AS attempts_per_run,
    coalesce(recovered_by_retry, 0) AS recovered_by_retry,
    recovered_by_retry / retried_runs AS recovery_rate
FROM totals
LEFT JOIN chains
    ON chains.source = totals.source AND chains.name IS NOT DISTINCT FROM totals.name
