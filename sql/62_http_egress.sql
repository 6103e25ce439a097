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
),

-- Wilson's interval: 1.959964 is the normal quantile for 95 %, 3.84 its square.
bounded AS (
    SELECT
        *,
        1.959964 * sqrt(failed * succeeded / nullif(finished, 0) + 0.960364720324) AS margin
    FROM counted
)

SELECT
    source,
    name,
    host,
    executions,
    finished,
    failed,
    failed / nullif(finished, 0) AS failure_rate,
    CASE
        WHEN failed > 0 THEN (failed + 1.920729440648 - margin) / (finished + 3.841458881296)
        WHEN finished > 0 THEN 0.0
    END AS failure_rate_low,
    CASE
        WHEN succeeded > 0 THEN (failed + 1.920729440648 + margin) / (finished + 3.841458881296)
        WHEN finished > 0 THEN 1.0
    END AS failure_rate_high,
    finished < 30 AS low_sample,
    last_seen_at
FROM bounded
