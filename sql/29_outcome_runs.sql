-- In which order did successes and failures of each thing follow each other?
WITH sorted AS (
    SELECT
        source,
        name,
        row_number() OVER () AS thing,
        -- The lowest bit says that it failed: of two at the same time the failure is the later one.
        list_sort(list(
            2 * epoch_us(started_at) + CAST(outcome <> 'success' AS BIGINT)
        )) AS places
    FROM executions
    WHERE
        outcome IN ('success', 'failure', 'error', 'timeout')
        AND started_at IS NOT NULL
    GROUP BY source, name
),

-- By way of lists, for a window over the whole history takes thrice as long. The NULL behind the
-- last place ends the last run.
numbered AS (
    SELECT
        thing,
        unnest(list_append(places, NULL)) AS place,
        unnest(list_prepend(NULL, places)) AS previous_place,
        unnest(range(len(places) + 1)) AS executions_before
    FROM sorted
),

runs AS (
    SELECT
        thing,
        place,
        previous_place,
        lead(place) OVER in_time AS next_place,
        lead(previous_place) OVER in_time AS last_place,
        lead(executions_before) OVER in_time - executions_before AS executions
    FROM numbered
    WHERE place % 2 IS DISTINCT FROM previous_place % 2
    WINDOW in_time AS (PARTITION BY thing ORDER BY executions_before)
)

SELECT
    sorted.source,
    sorted.name,
    place % 2 = 1 AS is_failed,
    executions,
    make_timestamptz(place // 2) AS since,
    make_timestamptz(last_place // 2) AS last_at,
    make_timestamptz(previous_place // 2) AS previous_at,
    make_timestamptz(next_place // 2) AS next_at
FROM runs
JOIN sorted ON sorted.thing = runs.thing
WHERE place IS NOT NULL
