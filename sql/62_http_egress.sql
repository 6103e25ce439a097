-- Which hosts may executions reach, and how do those fare that may?
WITH allowed AS (
    SELECT DISTINCT source, execution_id, host
    FROM riza.http_allow
    WHERE host IS NOT NULL
),

counted AS (
    SELECT
        executions.source,
        name,
        host,
        count(*) AS executions,
        count(*) FILTER (outcome = 'success') AS succeeded,
        count(*) FILTER (outcome IN ('failure', 'error', 'timeout')) AS failed,
        succeeded + failed AS finished,
        max(started_at) AS last_seen_at
    FROM allowed
    JOIN executions_riza AS executions
        ON executions.source = allowed.source AND executions.execution_id = allowed.execution_id
    GROUP BY executions.source, name, host
)

SELECT
    source,
    name,
    host,
    executions,
    finished,
    failed,
    failed / nullif(finished, 0) AS failure_rate,
    wilson_low(failed, succeeded) AS failure_rate_low,
    wilson_high(failed, succeeded) AS failure_rate_high,
    finished < 30 AS low_sample,
    last_seen_at
FROM counted
