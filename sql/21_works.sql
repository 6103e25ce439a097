-- Which executions did the same work: the same code with the same input?
SELECT
    source,
    stream,
    execution_id,
    name,
    work_id,
    started_at,
    ended_at,
    outcome,
    attempt
FROM mapped_executions
WHERE work_id IS NOT NULL
