-- Which types of execution fail most: ever, in 30 days, in 7 days?
WITH aged AS (
    SELECT
        source,
        type,
        outcome,
        started_at >= now - INTERVAL 30 DAY AS is_30d,
        started_at >= now - INTERVAL 7 DAY AS is_7d
    FROM executions
    CROSS JOIN clock
),

counted AS (
    SELECT
        source,
        type,
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
    GROUP BY source, type
)

SELECT
    source,
    type,
    executions,
    succeeded,
    failed,
    cancelled,
    skipped,
    unknown,
    running,
    finished,
    failed / nullif(finished, 0) AS failure_rate,
    wilson_low(failed, succeeded) AS failure_rate_low,
    wilson_high(failed, succeeded) AS failure_rate_high,
    failed / executions AS failed_share_of_all,
    finished < 30 AS low_sample,
    finished_30d,
    failed_30d,
    failed_30d / nullif(finished_30d, 0) AS failure_rate_30d,
    wilson_low(failed_30d, succeeded_30d) AS failure_rate_30d_low,
    wilson_high(failed_30d, succeeded_30d) AS failure_rate_30d_high,
    finished_7d,
    failed_7d,
    failed_7d / nullif(finished_7d, 0) AS failure_rate_7d,
    wilson_low(failed_7d, succeeded_7d) AS failure_rate_7d_low,
    wilson_high(failed_7d, succeeded_7d) AS failure_rate_7d_high
FROM counted
