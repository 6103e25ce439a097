-- How much running time went into executions that failed, and what did it cost?
WITH prices AS (
    SELECT max(TRY_CAST(value AS DOUBLE)) AS price_per_s
    FROM etl.meta
    WHERE name = 'price_per_s'
),

measured AS (
    SELECT
        source,
        name,
        count(*) AS executions,
        count(*) FILTER (outcome IN ('failure', 'error', 'timeout')) AS failed,
        sum(duration_ms) / 1e3 AS total_s,
        coalesce(
            sum(duration_ms) FILTER (outcome IN ('failure', 'error', 'timeout')), 0
        ) / 1e3 AS wasted_s
    FROM executions
    WHERE
        duration_ms IS NOT NULL
        AND outcome <> 'running'
    GROUP BY source, name
)

SELECT
    source,
    name,
    executions,
    failed,
    total_s,
    wasted_s,
    wasted_s / nullif(total_s, 0) AS wasted_share,
    wasted_s / nullif(sum(total_s) OVER (PARTITION BY source), 0) AS wasted_share_of_source,
    total_s * price_per_s AS total_cost,
    wasted_s * price_per_s AS wasted_cost
FROM measured
CROSS JOIN prices
