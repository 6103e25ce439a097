-- Which ranges of time between the first and the last known one are not all here?
WITH ranges AS (
    SELECT
        source,
        stream,
        until AS since,
        lead(since) OVER (PARTITION BY source, stream ORDER BY since) AS until
    FROM known_ranges
)

SELECT
    source,
    stream,
    since,
    until,
    (epoch_us(until) - epoch_us(since)) / 1e6 AS gap_s
FROM ranges
WHERE until > since
