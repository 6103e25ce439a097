-- How many executions ran at the same time, hour by hour?
WITH spans AS (
    SELECT
        source,
        epoch_us(started_at) AS since_us,
        -- What took less than a millisecond did run; and what claims to have run for years must
        -- not make a row for each of their hours.
        least(
            greatest(epoch_us(ended_at), since_us + 1),
            since_us + 31 * 86_400_000_000
        ) AS until_us,
        since_us // 3_600_000_000 AS first_hour,
        (until_us - 1) // 3_600_000_000 AS last_hour
    FROM executions
    WHERE
        started_at IS NOT NULL
        AND ended_at IS NOT NULL
        AND outcome <> 'running'
),

pieces AS (
    SELECT
        source,
        first_hour AS hour,
        since_us - 3_600_000_000 * first_hour AS since_us,
        until_us - 3_600_000_000 * first_hour AS until_us
    FROM spans
    WHERE first_hour = last_hour
    UNION ALL
    SELECT
        source,
        unnest(range(first_hour, last_hour + 1)) AS hour,
        greatest(since_us - 3_600_000_000 * hour, 0) AS since_us,
        least(until_us - 3_600_000_000 * hour, 3_600_000_000) AS until_us
    FROM spans
    WHERE first_hour < last_hour
),

-- A sweep through the hour: an end makes room before a start at the same time takes it.
events AS (
    SELECT source, hour, 2 * since_us + 1 AS place FROM pieces
    UNION ALL
    SELECT source, hour, 2 * until_us AS place FROM pieces
),

ranked AS (
    SELECT
        source,
        hour,
        place,
        row_number() OVER (PARTITION BY source, hour ORDER BY place) AS events,
        row_number() OVER (PARTITION BY source, hour, place % 2 ORDER BY place) AS starts
    FROM events
),

hours AS (
    SELECT
        source,
        make_timestamptz(3_600_000_000 * hour) AS hour,
        make_timestamptz(3_600_000_000 * (hour + 1)) AS until,
        -- At a start, what is not a start among the events so far is an end.
        max(starts - (events - starts)) FILTER (place % 2 = 1) AS max_running,
        sum(CASE WHEN place % 2 = 0 THEN place / 2 ELSE -(place // 2) END) / 3.6e9 AS mean_running
    FROM ranked
    GROUP BY source, ranked.hour
)

SELECT
    hours.source,
    hours.hour,
    max_running,
    mean_running,
    coalesce(complete_ranges.until >= hours.until, FALSE) AS is_complete
FROM hours
ASOF LEFT JOIN complete_ranges
    ON complete_ranges.source = hours.source AND complete_ranges.since <= hours.hour
