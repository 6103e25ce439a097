-- How many times in a row has each thing failed, or succeeded, by now?
WITH finished AS (
    SELECT
        source,
        name,
        started_at,
        outcome = 'success' AS is_success
    FROM executions
    WHERE
        outcome IN ('success', 'failure', 'error', 'timeout')
        AND started_at IS NOT NULL
),

ends AS (
    SELECT
        source,
        name,
        max(started_at) FILTER (is_success) AS last_success_at,
        max(started_at) FILTER (NOT is_success) AS last_failure_at
    FROM finished
    GROUP BY source, name
),

counted AS (
    SELECT
        finished.source,
        finished.name,
        any_value(last_success_at) AS last_success_at,
        any_value(last_failure_at) AS last_failure_at,
        -- Of two that start at the same time, the failure counts as the later one.
        count(*) FILTER (
            NOT is_success AND started_at >= coalesce(last_success_at, started_at)
        ) AS failures_in_a_row,
        count(*) FILTER (
            is_success AND (last_failure_at IS NULL OR started_at > last_failure_at)
        ) AS successes_in_a_row
    FROM finished
    JOIN ends
        ON ends.source = finished.source AND ends.name IS NOT DISTINCT FROM finished.name
    GROUP BY finished.source, finished.name
)

SELECT
    source,
    name,
    CASE WHEN failures_in_a_row > 0 THEN 'failing' ELSE 'succeeding' END AS state,
    failures_in_a_row,
    successes_in_a_row,
    last_success_at,
    last_failure_at,
    (epoch_us(now) - epoch_us(last_success_at)) / 1e6 AS since_success_s
FROM counted
CROSS JOIN clock
