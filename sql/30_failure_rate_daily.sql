-- What share of the executions that finished failed, day by day?
WITH counted AS (
    SELECT
        source,
        day,
        count(*) AS executions,
        count(*) FILTER (outcome = 'success') AS succeeded,
        count(*) FILTER (outcome IN ('failure', 'error', 'timeout')) AS failed,
        count(*) FILTER (outcome = 'cancellation') AS cancelled,
        count(*) FILTER (outcome = 'skip') AS skipped,
        count(*) FILTER (outcome = 'unknown') AS unknown,
        count(*) FILTER (outcome = 'running') AS running,
        succeeded + failed AS finished
    FROM local_executions
    WHERE day IS NOT NULL
    GROUP BY source, day
),

-- Wilson's interval: 1.959964 is the normal quantile for 95 %, 3.84 its square.
bounded AS (
    SELECT
        counted.*,
        1.959964 * sqrt(failed * succeeded / nullif(finished, 0) + 0.960364720324) AS margin,
        CAST(day AS TIMESTAMP) AT TIME ZONE timezone AS since,
        CAST(day + 1 AS TIMESTAMP) AT TIME ZONE timezone AS until
    FROM counted
    CROSS JOIN clock
)

SELECT
    bounded.source,
    day,
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
    coalesce(complete_ranges.until >= bounded.until, FALSE) AS is_complete
FROM bounded
ASOF LEFT JOIN complete_ranges
    ON complete_ranges.source = bounded.source AND complete_ranges.since <= bounded.since
