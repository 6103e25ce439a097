-- What failed and succeeded with the same code and the same input within 14 days?
WITH tried AS (
    SELECT
        source,
        name,
        work_id,
        count(*) AS executions,
        count(*) FILTER (outcome = 'success') AS succeeded,
        count(*) FILTER (outcome <> 'success') AS failed,
        min(started_at) FILTER (outcome <> 'success')
        < max(started_at) FILTER (outcome = 'success') AS is_recovered,
        max(started_at) AS last_seen_at
    FROM works
    WHERE
        started_at >= (SELECT now - INTERVAL 14 DAY FROM clock)
        AND outcome IN ('success', 'failure', 'error', 'timeout')
    GROUP BY source, name, work_id
)

SELECT
    source,
    name,
    CAST(sum(executions) AS BIGINT) AS finished,
    count(*) AS inputs,
    count(*) FILTER (succeeded > 0 AND failed > 0) AS flaky_inputs,
    count(*) FILTER (is_recovered) AS recovered_inputs,
    recovered_inputs / inputs AS flake_rate,
    max(last_seen_at) FILTER (succeeded > 0 AND failed > 0) AS last_seen_at
FROM tried
GROUP BY source, name
HAVING flaky_inputs > 0
