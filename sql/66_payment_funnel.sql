-- Of B3OS's executions that had to be paid for, how many come how far?
WITH placed AS (
    SELECT
        source,
        CASE
            WHEN status = 'workflow_succeeded' THEN 5
            WHEN status IN ('workflow_failed', 'workflow_partial') THEN 4
            WHEN status IN ('workflow_running', 'workflow_waiting') THEN 3
            -- The status of one that was cancelled does not tell how far it had come.
            WHEN started_at IS NOT NULL THEN 3
            WHEN status IN ('payment_confirmed', 'workflow_queued') THEN 2
            WHEN payment_status IN ('paid', 'confirmed', 'succeeded', 'completed') THEN 2
            ELSE 1
        END AS reached,
        status = 'workflow_cancelled' AS is_cancelled
    FROM b3os.executions
    WHERE
        coalesce(payment_status, '') <> ''
        OR coalesce(checkout_session_id, '') <> ''
        OR status IN ('awaiting_payment', 'payment_confirmed')
),

stages AS (
    SELECT
        unnest([1, 2, 3, 4, 5]) AS step,
        unnest(['asked', 'paid', 'started', 'finished', 'succeeded']) AS stage
),

counted AS (
    SELECT
        source,
        step,
        stage,
        count(*) FILTER (reached >= step) AS executions,
        count(*) FILTER (reached = step AND is_cancelled) AS cancelled_here
    FROM placed
    CROSS JOIN stages
    GROUP BY source, step, stage
)

SELECT
    source,
    step,
    stage,
    executions,
    cancelled_here,
    executions / first(executions) OVER steps AS share_of_asked,
    executions / nullif(lag(executions) OVER steps, 0) AS share_of_previous
FROM counted
WINDOW steps AS (PARTITION BY source ORDER BY step)
ORDER BY source, step
