-- At which hours of the week do executions run, fail and take long?
WITH placed AS (
    SELECT
        source,
        name,
        isodow(local_started_at) AS weekday,
        hour(local_started_at) AS hour,
        outcome,
        CASE WHEN outcome = 'success' THEN duration_ms END AS success_ms
    FROM local_executions
    WHERE local_started_at IS NOT NULL
),

counted AS (
    SELECT
        source,
        name,
        weekday,
        hour,
        count(*) AS executions,
        count(*) FILTER (outcome = 'success') AS succeeded,
        count(*) FILTER (outcome IN ('failure', 'error', 'timeout')) AS failed,
        succeeded + failed AS finished,
        count(success_ms) AS measured,
        quantile_cont(success_ms, 0.95) AS p95_ms
    FROM placed
    GROUP BY source, name, weekday, hour
)

SELECT
    source,
    name,
    weekday,
    hour,
    executions,
    finished,
    failed,
    failed / nullif(finished, 0) AS failure_rate,
    wilson_low(failed, succeeded) AS failure_rate_low,
    wilson_high(failed, succeeded) AS failure_rate_high,
    finished < 30 AS low_sample,
    CASE WHEN measured >= 5 THEN p95_ms END AS p95_ms
FROM counted
