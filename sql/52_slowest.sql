-- Which 100 executions of each source took longest?
WITH thresholds AS (
    SELECT
        source,
        list_min(max(duration_ms, 100)) AS least_ms
    FROM executions
    GROUP BY source
)

SELECT
    executions.source,
    row_number() OVER longest AS place,
    execution_id,
    name,
    type,
    language,
    started_at,
    duration_ms,
    outcome
FROM executions
JOIN thresholds
    ON thresholds.source = executions.source AND executions.duration_ms >= thresholds.least_ms
WINDOW longest AS (
    PARTITION BY executions.source
    ORDER BY duration_ms DESC, started_at DESC, execution_id
)
QUALIFY place <= 100
ORDER BY duration_ms DESC, executions.source, place
