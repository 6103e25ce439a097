-- How long do executions wait before they start?
WITH measured AS (
    SELECT
        source,
        name,
        count(*) AS executions,
        count(queue_ms) AS queued,
        avg(queue_ms) AS avg_ms,
        quantile_cont(queue_ms, [0.5, 0.9, 0.95, 0.99]) AS q,
        max(queue_ms) AS max_ms
    FROM executions
    GROUP BY source, name
)

-- Where the platform does not tell, nothing is known: NULL, not 0.
SELECT
    source,
    name,
    executions,
    queued,
    CASE WHEN queued >= 5 THEN avg_ms END AS avg_ms,
    CASE WHEN queued >= 5 THEN q[1] END AS p50_ms,
    CASE WHEN queued >= 5 THEN q[2] END AS p90_ms,
    CASE WHEN queued >= 5 THEN q[3] END AS p95_ms,
    CASE WHEN queued >= 5 THEN q[4] END AS p99_ms,
    CASE WHEN queued >= 5 THEN max_ms END AS max_ms
FROM measured
