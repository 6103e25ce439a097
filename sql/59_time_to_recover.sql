-- How long does it take from the first failure to the next success?
WITH turns AS (
    SELECT
        source,
        name,
        started_at,
        is_failed,
        -- Of two that start at the same time, the failure counts as the later one.
        lag(is_failed) OVER in_time AS was_failed
    FROM (
        SELECT
            source,
            name,
            started_at,
            outcome <> 'success' AS is_failed,
            2 * epoch_us(started_at) + CAST(is_failed AS BIGINT) AS place
        FROM executions
        WHERE
            outcome IN ('success', 'failure', 'error', 'timeout')
            AND started_at IS NOT NULL
    )
    WINDOW in_time AS (PARTITION BY source, name ORDER BY place)
    QUALIFY is_failed IS DISTINCT FROM was_failed
),

streaks AS (
    SELECT
        source,
        name,
        is_failed,
        was_failed,
        started_at AS since,
        lead(started_at) OVER (
            PARTITION BY source, name ORDER BY started_at, is_failed
        ) AS recovered_at,
        (epoch_us(recovered_at) - epoch_us(since)) / 1e6 AS recovery_s
    FROM turns
)

-- A history that begins with a failure does not tell since when it had failed: not a recovery.
SELECT
    source,
    name,
    count(recovery_s) FILTER (was_failed IS NOT NULL) AS recoveries,
    avg(recovery_s) FILTER (was_failed IS NOT NULL) AS mean_s,
    median(recovery_s) FILTER (was_failed IS NOT NULL) AS median_s,
    max(recovery_s) FILTER (was_failed IS NOT NULL) AS max_s,
    max(since) FILTER (recovered_at IS NULL) AS failing_since,
    (epoch_us(any_value(now)) - epoch_us(failing_since)) / 1e6 AS failing_for_s
FROM streaks
CROSS JOIN clock
WHERE is_failed
GROUP BY source, name
