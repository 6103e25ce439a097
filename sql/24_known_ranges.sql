-- For which ranges of its key time is every record of a stream known to be here?
SELECT
    coverage.source,
    coverage.stream,
    -- What was pruned stays in the ledger, so that no sync fetches it again: it is known of, but
    -- not here. NULL where only payloads were pruned, which leaves each execution in place.
    greatest(coverage.since, pruned.executions_before) AS since,
    coverage.until
FROM etl.coverage AS coverage
LEFT JOIN etl.pruned AS pruned
    ON pruned.source = coverage.source AND pruned.stream = coverage.stream
WHERE
    pruned.executions_before IS NULL
    OR coverage.until > pruned.executions_before
