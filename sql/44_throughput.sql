-- How many executions start per day, per hour in which any did, and in the busiest minute?
WITH minutes AS (
    SELECT
        source,
        epoch_us(started_at) // 60_000_000 AS minute,
        count(*) AS executions
    FROM executions
    WHERE started_at IS NOT NULL
    GROUP BY source, minute
),

days AS (
    SELECT
        source,
        CAST(make_timestamptz(60_000_000 * minute) AT TIME ZONE timezone AS DATE) AS day,
        any_value(timezone) AS timezone,
        sum(executions) AS executions,
        count(DISTINCT minute // 60) AS active_hours,
        max(executions) AS peak_per_minute,
        make_timestamptz(60_000_000 * arg_max(minute, (executions, -minute))) AS peak_minute
    FROM minutes
    CROSS JOIN clock
    GROUP BY source, day
),

bounded AS (
    SELECT
        days.*,
        CAST(day AS TIMESTAMP) AT TIME ZONE timezone AS since,
        CAST(day + 1 AS TIMESTAMP) AT TIME ZONE timezone AS until
    FROM days
)

SELECT
    bounded.source,
    day,
    CAST(executions AS BIGINT) AS executions,
    -- A day on which the clocks change has 23 or 25 hours.
    executions / ((epoch_us(bounded.until) - epoch_us(bounded.since)) / 3.6e9)
        AS executions_per_hour,
    active_hours,
    executions / active_hours AS executions_per_active_hour,
    peak_per_minute,
    peak_minute,
    coalesce(complete_ranges.until >= bounded.until, FALSE) AS is_complete
FROM bounded
ASOF LEFT JOIN complete_ranges
    ON complete_ranges.source = bounded.source AND complete_ranges.since <= bounded.since
