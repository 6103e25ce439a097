-- What time is it, and in which time zone do days begin?
SELECT
    now() AS now,
    coalesce(max(value) FILTER (name = 'timezone'), 'UTC') AS timezone
FROM etl.meta
