-- How long do executions take, day by day?
WITH measured AS (
    SELECT
        source,
        day,
        count(*) FILTER (outcome = 'success') AS executions,
        avg(duration_ms) FILTER (outcome = 'success') AS avg_ms,
        stddev_samp(duration_ms) FILTER (outcome = 'success') AS stddev_ms,
        quantile_cont(duration_ms, [0.5, 0.9, 0.95, 0.99]) FILTER (outcome = 'success') AS q,
        max(duration_ms) FILTER (outcome = 'success') AS max_ms,
        count(*) AS all_executions,
        avg(duration_ms) AS all_avg_ms,
        stddev_samp(duration_ms) AS all_stddev_ms,
        quantile_cont(duration_ms, [0.5, 0.9, 0.95, 0.99]) AS all_q,
        max(duration_ms) AS all_max_ms
    FROM local_executions
    WHERE
        duration_ms IS NOT NULL
        AND outcome <> 'running'
        AND day IS NOT NULL
    GROUP BY source, day
),

bounded AS (
    SELECT
        measured.*,
        CAST(day AS TIMESTAMP) AT TIME ZONE timezone AS since,
        CAST(day + 1 AS TIMESTAMP) AT TIME ZONE timezone AS until
    FROM measured
    CROSS JOIN clock
)

-- Below 5 samples a quantile is only a number.
SELECT
    bounded.source,
    day,
    executions,
    CASE WHEN executions >= 5 THEN avg_ms END AS avg_ms,
    CASE WHEN executions >= 5 THEN stddev_ms END AS stddev_ms,
    CASE WHEN executions >= 5 THEN q[1] END AS p50_ms,
    CASE WHEN executions >= 5 THEN q[2] END AS p90_ms,
    CASE WHEN executions >= 5 THEN q[3] END AS p95_ms,
    CASE WHEN executions >= 5 THEN q[4] END AS p99_ms,
    CASE WHEN executions >= 5 THEN max_ms END AS max_ms,
    all_executions,
    CASE WHEN all_executions >= 5 THEN all_avg_ms END AS all_avg_ms,
    CASE WHEN all_executions >= 5 THEN all_stddev_ms END AS all_stddev_ms,
    CASE WHEN all_executions >= 5 THEN all_q[1] END AS all_p50_ms,
    CASE WHEN all_executions >= 5 THEN all_q[2] END AS all_p90_ms,
    CASE WHEN all_executions >= 5 THEN all_q[3] END AS all_p95_ms,
    CASE WHEN all_executions >= 5 THEN all_q[4] END AS all_p99_ms,
    CASE WHEN all_executions >= 5 THEN all_max_ms END AS all_max_ms,
    coalesce(complete_ranges.until >= bounded.until, FALSE) AS is_complete
FROM bounded
ASOF LEFT JOIN complete_ranges
    ON complete_ranges.source = bounded.source AND complete_ranges.since <= bounded.since
