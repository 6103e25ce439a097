-- On which day, and when by the clock on the wall, did each execution start?
SELECT
    executions.*,
    -- UTC needs no calendar, and reading one is slow.
    CASE
        WHEN timezone = 'UTC' THEN make_timestamp(epoch_us(started_at))
        ELSE started_at AT TIME ZONE timezone
    END AS local_started_at,
    CAST(local_started_at AS DATE) AS day
FROM executions
CROSS JOIN clock
