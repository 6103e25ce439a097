-- How are durations spread: how many executions took 1, 2, 5, 10, … ms and more?
WITH measured AS (
    SELECT
        source,
        duration_ms,
        count(*) AS executions,
        count(*) FILTER (outcome = 'success') AS succeeded,
        count(*) FILTER (outcome IN ('failure', 'error', 'timeout')) AS failed
    FROM executions
    WHERE
        duration_ms IS NOT NULL
        AND outcome <> 'running'
    GROUP BY source, duration_ms
),

placed AS (
    SELECT
        *,
        CAST(10 ** floor(log10(greatest(duration_ms, 1))) AS BIGINT) AS decade_ms,
        CASE
            WHEN duration_ms < 1 THEN 0
            WHEN duration_ms < 2 * decade_ms THEN decade_ms
            WHEN duration_ms < 5 * decade_ms THEN 2 * decade_ms
            ELSE 5 * decade_ms
        END AS from_ms,
        CASE
            WHEN duration_ms < 1 THEN 1
            WHEN duration_ms < 2 * decade_ms THEN 2 * decade_ms
            WHEN duration_ms < 5 * decade_ms THEN 5 * decade_ms
            ELSE 10 * decade_ms
        END AS to_ms
    FROM measured
),

counted AS (
    SELECT
        source,
        from_ms,
        to_ms,
        CAST(sum(executions) AS BIGINT) AS executions,
        CAST(sum(succeeded) AS BIGINT) AS succeeded,
        CAST(sum(failed) AS BIGINT) AS failed
    FROM placed
    GROUP BY source, from_ms, to_ms
)

SELECT
    source,
    from_ms,
    to_ms,
    executions,
    succeeded,
    failed,
    executions / sum(executions) OVER (PARTITION BY source) AS share,
    sum(executions) OVER (PARTITION BY source ORDER BY from_ms)
    / sum(executions) OVER (PARTITION BY source) AS cumulative_share
FROM counted
