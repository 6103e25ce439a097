-- With which exit codes do executions end?
WITH counted AS (
    SELECT
        source,
        exit_code,
        count(*) AS executions,
        count(DISTINCT name) AS names,
        min(started_at) AS first_seen_at,
        max(started_at) AS last_seen_at
    FROM executions
    WHERE exit_code IS NOT NULL
    GROUP BY source, exit_code
)

SELECT
    source,
    exit_code,
    -- A shell reports a process that a signal ended as 128 and the signal: 137 is SIGKILL.
    CASE WHEN exit_code BETWEEN 129 AND 159 THEN exit_code - 128 END AS signal,
    executions,
    executions / sum(executions) OVER (PARTITION BY source) AS share,
    names,
    first_seen_at,
    last_seen_at
FROM counted
