-- Which executions of the last 30 days did work again within 10 minutes of its failure?
WITH recent AS (
    SELECT works.*
    FROM works
    WHERE started_at >= (SELECT now - INTERVAL 30 DAY FROM clock)
),

retried AS (
    SELECT DISTINCT source, work_id
    FROM recent
    WHERE
        outcome IN ('failure', 'error', 'timeout')
        OR attempt > 1
),

-- Where nothing failed nothing was retried, leaving it out saves sorting the rest.
attempts AS (
    SELECT
        recent.*,
        lag(outcome) OVER in_time AS previous_outcome,
        lag(coalesce(ended_at, started_at)) OVER in_time AS previous_ended_at
    FROM recent
    SEMI JOIN retried
        ON retried.source = recent.source AND retried.work_id = recent.work_id
    WINDOW in_time AS (
        PARTITION BY recent.source, recent.work_id ORDER BY started_at, execution_id
    )
),

marked AS (
    SELECT
        *,
        coalesce(
            previous_outcome IN ('failure', 'error', 'timeout')
            AND epoch_us(started_at) - epoch_us(previous_ended_at) <= 600_000_000,
            FALSE
        ) AS is_retry
    FROM attempts
),

chained AS (
    SELECT
        *,
        count(*) FILTER (NOT is_retry) OVER (
            PARTITION BY source, work_id
            ORDER BY started_at, execution_id
            ROWS UNBOUNDED PRECEDING
        ) AS chain
    FROM marked
)

SELECT
    source,
    any_value(name) AS name,
    arg_min(execution_id, (started_at, execution_id)) AS first_execution_id,
    arg_max(execution_id, (started_at, execution_id)) AS last_execution_id,
    min(started_at) AS started_at,
    max(coalesce(ended_at, started_at)) AS ended_at,
    count(*) AS executions,
    -- A platform that retries in place counts the attempts of one execution itself.
    CAST(sum(greatest(coalesce(attempt, 1), 1)) AS BIGINT) AS attempts,
    arg_max(outcome, (started_at, execution_id)) AS last_outcome,
    last_outcome = 'success' AS is_recovered
FROM chained
GROUP BY source, work_id, chain
HAVING attempts > 1
