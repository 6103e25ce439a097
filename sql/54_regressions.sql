-- What got worse: the last 7 days against the 7 days before?
WITH recent AS (
    SELECT
        source,
        name,
        outcome,
        CASE WHEN outcome = 'success' THEN duration_ms END AS success_ms,
        started_at >= (SELECT now - INTERVAL 7 DAY FROM clock) AS is_now
    FROM executions
    WHERE
        started_at >= (SELECT now - INTERVAL 14 DAY FROM clock)
        AND started_at <= (SELECT now FROM clock)
),

counted AS (
    SELECT
        source,
        name,
        count(*) FILTER (is_now) AS executions,
        count(*) FILTER (NOT is_now) AS previous_executions,
        count(*) FILTER (is_now AND outcome = 'success') AS succeeded,
        count(*) FILTER (NOT is_now AND outcome = 'success') AS previous_succeeded,
        count(*) FILTER (is_now AND outcome IN ('failure', 'error', 'timeout')) AS failed,
        count(*) FILTER (NOT is_now AND outcome IN ('failure', 'error', 'timeout'))
            AS previous_failed,
        succeeded + failed AS finished,
        previous_succeeded + previous_failed AS previous_finished,
        count(success_ms) FILTER (is_now) AS measured,
        count(success_ms) FILTER (NOT is_now) AS previous_measured,
        quantile_cont(success_ms, 0.95) FILTER (is_now) AS p95_ms,
        quantile_cont(success_ms, 0.95) FILTER (NOT is_now) AS previous_p95_ms
    FROM recent
    GROUP BY source, name
),

rated AS (
    SELECT
        * REPLACE (
            CASE WHEN measured >= 5 THEN p95_ms END AS p95_ms,
            CASE WHEN previous_measured >= 5 THEN previous_p95_ms END AS previous_p95_ms
        ),
        failed / nullif(finished, 0) AS failure_rate,
        wilson_low(failed, succeeded) AS failure_rate_low,
        wilson_high(failed, succeeded) AS failure_rate_high,
        previous_failed / nullif(previous_finished, 0) AS previous_failure_rate,
        wilson_low(previous_failed, previous_succeeded) AS previous_failure_rate_low,
        wilson_high(previous_failed, previous_succeeded) AS previous_failure_rate_high
    FROM counted
)

SELECT
    source,
    name,
    executions,
    previous_executions,
    executions / nullif(previous_executions, 0) - 1 AS volume_change,
    finished,
    failed,
    failure_rate,
    failure_rate_low,
    failure_rate_high,
    previous_finished,
    previous_failed,
    previous_failure_rate,
    previous_failure_rate_low,
    previous_failure_rate_high,
    failure_rate - previous_failure_rate AS failure_rate_change,
    -- Two intervals that do not overlap are not the same rate by chance.
    coalesce(
        failure_rate_low > previous_failure_rate_high
        OR failure_rate_high < previous_failure_rate_low,
        FALSE
    ) AS is_significant,
    p95_ms,
    previous_p95_ms,
    p95_ms / nullif(previous_p95_ms, 0) - 1 AS p95_change
FROM rated
