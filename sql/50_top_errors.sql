-- Which errors happen most, since when, and are any of them new?
WITH counted AS (
    SELECT
        source,
        error_type,
        error_fingerprint,
        count(*) AS failures,
        count(DISTINCT name) AS names,
        min(started_at) AS first_seen_at,
        max(started_at) AS last_seen_at,
        arg_max_null(error_message, (started_at, execution_id)) AS last_message,
        arg_max(execution_id, (started_at, execution_id)) AS last_execution_id
    FROM failures
    GROUP BY source, error_type, error_fingerprint
)

SELECT
    source,
    error_type,
    error_fingerprint,
    failures,
    failures / sum(failures) OVER (PARTITION BY source) AS share_of_failures,
    names,
    first_seen_at,
    last_seen_at,
    coalesce(first_seen_at > now - INTERVAL 24 HOUR, FALSE) AS is_new_24h,
    last_message,
    last_execution_id
FROM counted
CROSS JOIN clock
ORDER BY failures DESC, last_seen_at DESC
