-- Which executions of the last 30 days took more than twice their 95th percentile, and over 1 s?
WITH recent AS (
    SELECT executions.*
    FROM executions
    WHERE
        started_at >= (SELECT now - INTERVAL 30 DAY FROM clock)
        AND duration_ms IS NOT NULL
        AND outcome <> 'running'
),

usual AS (
    SELECT
        source,
        name,
        quantile_cont(duration_ms, 0.95) AS p95_ms
    FROM recent
    WHERE outcome = 'success'
    GROUP BY source, name
    HAVING count(*) >= 5
)

SELECT
    recent.source,
    recent.name,
    execution_id,
    started_at,
    duration_ms,
    p95_ms,
    duration_ms / nullif(p95_ms, 0) AS times_p95,
    outcome
FROM recent
JOIN usual
    ON usual.source = recent.source AND usual.name IS NOT DISTINCT FROM recent.name
WHERE
    duration_ms > 2 * p95_ms
    AND duration_ms > 1000
