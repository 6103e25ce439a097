-- Which of Riza's tools fail most?
WITH counted AS (
    SELECT
        source,
        name AS tool_id,
        count(*) AS executions,
        count(*) FILTER (outcome = 'success') AS succeeded,
        count(*) FILTER (outcome IN ('failure', 'error', 'timeout')) AS failed,
        count(*) FILTER (outcome = 'unknown') AS unknown,
        succeeded + failed AS finished,
        min(started_at) AS first_seen_at,
        max(started_at) AS last_seen_at
    FROM executions_riza
    WHERE type = 'tool'
    GROUP BY source, name
)

SELECT
    source,
    tool_id,
    executions,
    succeeded,
    failed,
    unknown,
    finished,
    failed / nullif(finished, 0) AS failure_rate,
    wilson_low(failed, succeeded) AS failure_rate_low,
    wilson_high(failed, succeeded) AS failure_rate_high,
    finished < 30 AS low_sample,
    first_seen_at,
    last_seen_at
FROM counted
