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

-- Wilson's interval: 1.959964 is the normal quantile for 95 %, 3.84 its square.
bounded AS (
    SELECT
        counted.*,
        1.959964 * sqrt(failed * succeeded / nullif(finished, 0) + 0.960364720324) AS margin,
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
    ON complete_ranges.source = bounded.source AND complete_ranges.since <= bounded.hour
