-- What share of the executions that finished failed, hour by hour?
WITH counted AS (
    SELECT
        source,
        date_trunc('hour', make_timestamp(epoch_us(started_at))) AS utc_hour,
        count(*) AS executions,
        count(*) FILTER (outcome = 'success') AS succeeded,
        count(*) FILTER (outcome IN ('failure', 'error', 'timeout')) AS failed,
        count(*) FILTER (outcome = 'cancellation') AS cancelled,
        count(*) FILTER (outcome = 'skip') AS skipped,
        count(*) FILTER (outcome = 'unknown') AS unknown,
        count(*) FILTER (outcome = 'running') AS running,
        succeeded + failed AS finished
    FROM executions
    WHERE started_at IS NOT NULL
    GROUP BY source, utc_hour
),

bounded AS (
    SELECT
        counted.*,
        make_timestamptz(epoch_us(utc_hour)) AS hour,
        make_timestamptz(epoch_us(utc_hour) + 3_600_000_000) AS until
    FROM counted
)

SELECT
    bounded.source,
    hour,
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
    ON complete_ranges.source = bounded.source AND complete_ranges.since <= bounded.hour
