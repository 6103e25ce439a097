-- How many times in a row has each thing failed, or succeeded, by now?
SELECT
    source,
    name,
    CASE WHEN is_failed THEN 'failing' ELSE 'succeeding' END AS state,
    CASE WHEN is_failed THEN executions ELSE 0 END AS failures_in_a_row,
    CASE WHEN is_failed THEN 0 ELSE executions END AS successes_in_a_row,
    CASE WHEN is_failed THEN previous_at ELSE last_at END AS last_success_at,
    CASE WHEN is_failed THEN last_at ELSE previous_at END AS last_failure_at,
    (epoch_us(now) - epoch_us(last_success_at)) / 1e6 AS since_success_s
FROM outcome_runs
CROSS JOIN clock
WHERE next_at IS NULL
