-- For which ranges of time is every stream of a source known to be all here?
WITH streams AS (
    SELECT
        source,
        count(DISTINCT stream) AS streams
    FROM (
        SELECT source, stream FROM etl.streams
        UNION ALL
        SELECT source, stream FROM etl.coverage
    )
    GROUP BY source
),

edges AS (
    SELECT source, since AS edge, 1 AS step FROM etl.coverage
    UNION ALL
    SELECT source, until AS edge, -1 AS step FROM etl.coverage
),

levels AS (
    SELECT
        source,
        edge AS since,
        lead(edge) OVER (PARTITION BY source ORDER BY edge) AS until,
        sum(sum(step)) OVER (PARTITION BY source ORDER BY edge) AS covered_streams
    FROM edges
    GROUP BY source, edge
)

SELECT
    levels.source,
    levels.since,
    levels.until
FROM levels
JOIN streams ON streams.source = levels.source AND streams.streams = levels.covered_streams
