-- What share succeeds in time, and how much of the error budget of 28 days is left?
WITH goals AS (
    SELECT
        -- slo_ms and slo_target hold for all, slo_ms:NAME and slo_target:NAME for one.
        name AS setting,
        TRY_CAST(value AS DOUBLE) AS value
    FROM etl.meta
    WHERE name LIKE 'slo\_%' ESCAPE '\'
),

recent AS (
    SELECT
        source,
        name,
        outcome,
        duration_ms
    FROM executions
    WHERE
        started_at >= (SELECT now - INTERVAL 28 DAY FROM clock)
        AND outcome IN ('success', 'failure', 'error', 'timeout')
),

named AS (
    SELECT
        names.name,
        coalesce(
            max(value) FILTER (setting = 'slo_ms:' || names.name),
            max(value) FILTER (setting = 'slo_ms')
        ) AS within_ms,
        coalesce(
            max(value) FILTER (setting = 'slo_target:' || names.name),
            max(value) FILTER (setting = 'slo_target'),
            0.99
        ) AS target
    FROM (SELECT DISTINCT name FROM recent) AS names
    LEFT JOIN goals
        ON goals.setting IN (
            'slo_ms', 'slo_target', 'slo_ms:' || names.name, 'slo_target:' || names.name
        )
    GROUP BY names.name
),

counted AS (
    SELECT
        recent.source,
        recent.name,
        any_value(within_ms) AS within_ms,
        any_value(target) AS target,
        count(*) AS finished,
        count(*) FILTER (
            outcome = 'success' AND (within_ms IS NULL OR duration_ms <= within_ms)
        ) AS good,
        finished - good AS bad
    FROM recent
    JOIN named ON named.name IS NOT DISTINCT FROM recent.name
    GROUP BY recent.source, recent.name
)

SELECT
    source,
    name,
    within_ms,
    target,
    finished,
    good,
    bad,
    good / finished AS good_rate,
    good / finished >= target AS is_met,
    (1 - target) * finished AS budget,
    1 - bad / nullif((1 - target) * finished, 0) AS budget_left
FROM counted
