-- How old is the newest execution of each stream, and how late do executions arrive here?
WITH streams AS (
    SELECT
        source,
        kind,
        stream,
        count(*) AS executions,
        count(*) FILTER (outcome = 'running') AS running,
        max(started_at) AS last_started_at,
        max(ended_at) AS last_ended_at,
        max(started_at) FILTER (outcome = 'success') AS last_success_at,
        min(first_synced_at) AS first_synced_at
    FROM executions
    GROUP BY source, kind, stream
),

-- The history that the first sync found says nothing about how late executions arrive.
lags AS (
    SELECT
        executions.source,
        executions.stream,
        count(*) AS measured,
        quantile_cont(
            (epoch_us(executions.first_synced_at) - epoch_us(ended_at)) / 1e6,
            [0.5, 0.95, 0.999]
        ) AS q
    FROM executions
    JOIN streams
        ON
            streams.source = executions.source
            AND streams.stream = executions.stream
            AND executions.ended_at > streams.first_synced_at
    WHERE outcome <> 'running'
    GROUP BY executions.source, executions.stream
)

SELECT
    streams.source,
    streams.kind,
    streams.stream,
    executions,
    running,
    last_started_at,
    last_ended_at,
    last_success_at,
    (epoch_us(now) - epoch_us(last_started_at)) / 1e6 AS age_s,
    coalesce(measured, 0) AS arrivals_measured,
    CASE WHEN measured >= 5 THEN q[1] END AS arrival_p50_s,
    CASE WHEN measured >= 5 THEN q[2] END AS arrival_p95_s,
    CASE WHEN measured >= 5 THEN q[3] END AS arrival_p999_s
FROM streams
CROSS JOIN clock
LEFT JOIN lags
    ON lags.source = streams.source AND lags.stream = streams.stream
