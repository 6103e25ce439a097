-- On which day, and when by the clock on the wall, did each execution start?
WITH
-- A calendar is slow to ask for each row, and no zone's offset changes within a quarter of an hour.
quarters AS (
    SELECT DISTINCT epoch_us(started_at) // 900_000_000 AS quarter
    FROM executions
    WHERE (SELECT timezone <> 'UTC' FROM clock)
),

-- By way of a list the planner knows that these are few, and builds its hash table on them.
offsets AS (
    SELECT
        quarter,
        epoch_us(make_timestamptz(900_000_000 * quarter) AT TIME ZONE timezone)
        - 900_000_000 * quarter AS offset_us
    FROM (SELECT unnest(list(quarter)) AS quarter FROM quarters)
    CROSS JOIN clock
)

SELECT
    executions.*,
    make_timestamp(epoch_us(started_at) + coalesce(offset_us, 0)) AS local_started_at,
    CAST(local_started_at AS DATE) AS day
FROM executions
LEFT JOIN offsets ON offsets.quarter = epoch_us(started_at) // 900_000_000
