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

bounded AS (
    SELECT
        counted.*,
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
    wilson_low(failed, succeeded) AS failure_rate_low,
    wilson_high(failed, succeeded) AS failure_rate_high,
    failed / executions AS failed_share_of_all,
    finished < 30 AS low_sample,
    coalesce(complete_ranges.until >= bounded.until, FALSE) AS is_complete
FROM bounded
ASOF LEFT JOIN complete_ranges
    ON complete_ranges.source = bounded.source AND complete_ranges.since <= bounded.since
