-- How long does it take from the first failure to the next success?
WITH measured AS (
    SELECT
        source,
        name,
        since,
        next_at,
        -- A history that begins with a failure does not tell since when it had failed.
        CASE
            WHEN previous_at IS NOT NULL THEN (epoch_us(next_at) - epoch_us(since)) / 1e6
        END AS recovery_s
    FROM outcome_runs
    WHERE is_failed
)

SELECT
    source,
    name,
    count(recovery_s) AS recoveries,
    avg(recovery_s) AS mean_s,
    median(recovery_s) AS median_s,
    max(recovery_s) AS max_s,
    max(since) FILTER (next_at IS NULL) AS failing_since,
    (epoch_us(any_value(now)) - epoch_us(failing_since)) / 1e6 AS failing_for_s
FROM measured
CROSS JOIN clock
GROUP BY source, name
