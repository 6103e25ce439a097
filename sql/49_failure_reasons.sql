-- For which reasons does each thing fail?
WITH counted AS (
    SELECT
        source,
        name,
        error_type AS reason,
        count(*) AS failures,
        min(started_at) AS first_seen_at,
        max(started_at) AS last_seen_at
    FROM executions
    WHERE outcome IN ('failure', 'error', 'timeout')
    GROUP BY source, name, error_type
)

SELECT
    source,
    name,
    reason,
    failures,
    failures / sum(failures) OVER (PARTITION BY source, name) AS share_of_failures,
    first_seen_at,
    last_seen_at
FROM counted
