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
        since_us // 1_800_000_000 AS first_half,
        (until_us - 1) // 1_800_000_000 AS last_half
    FROM executions
    WHERE
        started_at IS NOT NULL
        AND ended_at IS NOT NULL
        AND outcome <> 'running'
),

-- Half hours, for their places below fit into 32 bits, which are sorted in half the time.
pieces AS (
    SELECT
        source,
        first_half AS half,
        since_us - 1_800_000_000 * half AS since_us,
        least(until_us - 1_800_000_000 * half, 1_800_000_000) AS until_us
    FROM spans
    UNION ALL
    SELECT
        source,
        unnest(range(first_half + 1, last_half + 1)) AS half,
        0 AS since_us,
        least(until_us - 1_800_000_000 * half, 1_800_000_000) AS until_us
    FROM spans
    WHERE first_half < last_half
),

-- The ends and starts of a half hour in one list: an end makes room before a start at the same
-- time takes it.
swept AS (
    SELECT
        source,
        half,
        list_sort(list_concat(
            list(CAST(2 * since_us + 1 AS UINTEGER)), list(CAST(2 * until_us AS UINTEGER))
        )) AS places,
        sum(until_us - since_us) AS running_us
    FROM pieces
    GROUP BY source, half
),

-- Materialized, for a single thread does whatever stands directly before the join with ranges.
halves AS MATERIALIZED (
    SELECT
        source,
        half,
        -- The n-th start, at place p, comes after n - 1 starts and p - n ends.
        list_max(list_transform(
            list_filter(
                list_zip(places, range(1, len(places) + 1)), lambda place: place[1] % 2 = 1
            ),
            lambda place, starts: starts - (place[2] - starts)
        )) AS max_running,
        running_us
    FROM swept
),

hours AS (
    SELECT
        source,
        make_timestamptz(3_600_000_000 * (half // 2)) AS hour,
        make_timestamptz(3_600_000_000 * (half // 2 + 1)) AS until,
        max(max_running) AS max_running,
        sum(running_us) / 3.6e9 AS mean_running
    FROM halves
    GROUP BY source, half // 2
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
