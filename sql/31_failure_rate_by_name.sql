-- Which tools, functions, jobs and workflows fail most: ever, in 30 days, in 7 days?
WITH aged AS (
    SELECT
        source,
        name,
        outcome,
        started_at >= now - INTERVAL 30 DAY AS is_30d,
        started_at >= now - INTERVAL 7 DAY AS is_7d
    FROM executions
    CROSS JOIN clock
),

counted AS (
    SELECT
        source,
        name,
        count(*) AS executions,
        count(*) FILTER (outcome = 'success') AS succeeded,
        count(*) FILTER (outcome IN ('failure', 'error', 'timeout')) AS failed,
        count(*) FILTER (outcome = 'cancellation') AS cancelled,
        count(*) FILTER (outcome = 'skip') AS skipped,
        count(*) FILTER (outcome = 'unknown') AS unknown,
        count(*) FILTER (outcome = 'running') AS running,
        succeeded + failed AS finished,
        count(*) FILTER (is_30d AND outcome = 'success') AS succeeded_30d,
        count(*) FILTER (is_30d AND outcome IN ('failure', 'error', 'timeout')) AS failed_30d,
        succeeded_30d + failed_30d AS finished_30d,
        count(*) FILTER (is_7d AND outcome = 'success') AS succeeded_7d,
        count(*) FILTER (is_7d AND outcome IN ('failure', 'error', 'timeout')) AS failed_7d,
        succeeded_7d + failed_7d AS finished_7d
    FROM aged
    GROUP BY source, name
),

-- Wilson's interval: 1.959964 is the normal quantile for 95 %, 3.84 its square.
bounded AS (
    SELECT
        *,
        1.959964 * sqrt(failed * succeeded / nullif(finished, 0) + 0.960364720324) AS margin,
        1.959964 * sqrt(failed_30d * succeeded_30d / nullif(finished_30d, 0) + 0.960364720324)
            AS margin_30d,
        1.959964 * sqrt(failed_7d * succeeded_7d / nullif(finished_7d, 0) + 0.960364720324)
            AS margin_7d
    FROM counted
)

SELECT
    source,
    name,
    executions,
    succeeded,
    failed,
    cancelled,
    skipped,
    unknown,
    running,
    finished,
    failed / nullif(finished, 0) AS failure_rate,
    CASE
        WHEN failed > 0 THEN (failed + 1.920729440648 - margin) / (finished + 3.841458881296)
        WHEN finished > 0 THEN 0.0
    END AS failure_rate_low,
    CASE
        WHEN succeeded > 0 THEN (failed + 1.920729440648 + margin) / (finished + 3.841458881296)
        WHEN finished > 0 THEN 1.0
    END AS failure_rate_high,
    failed / executions AS failed_share_of_all,
    finished < 30 AS low_sample,
    finished_30d,
    failed_30d,
    failed_30d / nullif(finished_30d, 0) AS failure_rate_30d,
    CASE
        WHEN failed_30d > 0
            THEN (failed_30d + 1.920729440648 - margin_30d) / (finished_30d + 3.841458881296)
        WHEN finished_30d > 0 THEN 0.0
    END AS failure_rate_30d_low,
    CASE
        WHEN succeeded_30d > 0
            THEN (failed_30d + 1.920729440648 + margin_30d) / (finished_30d + 3.841458881296)
        WHEN finished_30d > 0 THEN 1.0
    END AS failure_rate_30d_high,
    finished_7d,
    failed_7d,
    failed_7d / nullif(finished_7d, 0) AS failure_rate_7d,
    CASE
        WHEN failed_7d > 0
            THEN (failed_7d + 1.920729440648 - margin_7d) / (finished_7d + 3.841458881296)
        WHEN finished_7d > 0 THEN 0.0
    END AS failure_rate_7d_low,
    CASE
        WHEN succeeded_7d > 0
            THEN (failed_7d + 1.920729440648 + margin_7d) / (finished_7d + 3.841458881296)
        WHEN finished_7d > 0 THEN 1.0
    END AS failure_rate_7d_high
FROM bounded
