-- How many executions ran at the same time, hour by hour?
WITH spans AS (
    SELECT
        source,
        epoch_us(started_at) AS since_us,
        -- What took less than a millisecond did run, and what claims to have run for years must
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

-- The ends and starts of an hour in one list: an end makes room before a start at the same time
-- takes it.
swept AS (
    SELECT
        source,
        hour,
        list_sort(list_concat(list(2 * since_us + 1), list(2 * until_us))) AS places,
        sum(until_us - since_us) / 3.6e9 AS mean_running
    FROM pieces
    GROUP BY source, hour
),

hours AS (
    SELECT
        source,
        make_timestamptz(3_600_000_000 * hour) AS hour,
        make_timestamptz(3_600_000_000 * (swept.hour + 1)) AS until,
        -- The n-th start, at place p, comes after n - 1 starts and p - n ends.
        list_max(list_transform(
            list_filter(
                list_transform(
                    places, lambda place, rank: CASE WHEN place % 2 = 1 THEN rank END
                ),
                lambda rank: rank IS NOT NULL
            ),
            lambda rank, starts: starts - (rank - starts)
        )) AS max_running,
        mean_running
    FROM swept
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
