-- Which versions of a thing fail most, and since when are they in use?
WITH counted AS (
    SELECT
        source,
        name,
        version,
        count(*) AS executions,
        count(*) FILTER (outcome = 'success') AS succeeded,
        count(*) FILTER (outcome IN ('failure', 'error', 'timeout')) AS failed,
        count(*) FILTER (outcome = 'unknown') AS unknown,
        succeeded + failed AS finished,
        min(started_at) AS first_seen_at,
        max(started_at) AS last_seen_at
    FROM mapped_executions
    WHERE version IS NOT NULL
    GROUP BY source, name, version
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
    version,
    executions,
    succeeded,
    failed,
    unknown,
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
    finished < 30 AS low_sample,
    first_seen_at,
    last_seen_at
FROM bounded
