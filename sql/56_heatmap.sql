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
),

-- Wilson's interval: 1.959964 is the normal quantile for 95 %, 3.84 its square.
bounded AS (
    SELECT
        *,
        1.959964 * sqrt(failed * succeeded / nullif(finished, 0) + 0.960364720324) AS margin
    FROM counted
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
    CASE
        WHEN failed > 0 THEN (failed + 1.920729440648 - margin) / (finished + 3.841458881296)
        WHEN finished > 0 THEN 0.0
    END AS failure_rate_low,
    CASE
        WHEN succeeded > 0 THEN (failed + 1.920729440648 + margin) / (finished + 3.841458881296)
        WHEN finished > 0 THEN 1.0
    END AS failure_rate_high,
    finished < 30 AS low_sample,
    CASE WHEN measured >= 5 THEN p95_ms END AS p95_ms
FROM bounded
