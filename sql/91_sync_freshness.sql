-- How fresh is each stream: until when is it all here, and how did the last run end?
WITH known AS (
    SELECT
        source,
        stream,
        min(since) AS covered_since,
        count(*) - 1 AS gaps
    FROM known_ranges
    GROUP BY source, stream
),

-- Of what was pruned, too: a stream that ended so long ago lags, and is not one never synced.
tops AS (
    SELECT
        source,
        stream,
        max(until) AS covered_until
    FROM etl.coverage
    GROUP BY source, stream
),

last_runs AS (
    SELECT
        source,
        stream,
        max(ended_at) FILTER (exit_code = 0) AS last_success_at,
        unnest(max_by(
            {'last_run_at': started_at, 'last_state': state, 'last_error': error},
            started_at
        ))
    FROM etl.runs
    -- Single records, and those of the quarantine, say nothing of the list.
    WHERE state NOT IN ('fetched', 'replayed')
    GROUP BY source, stream
)

SELECT
    streams.source,
    streams.kind,
    streams.stream,
    known.covered_since,
    tops.covered_until,
    (epoch_us(clock.now) - epoch_us(tops.covered_until)) / 1e6 AS lag_s,
    coalesce(known.gaps, 0) AS gaps,
    last_runs.last_success_at,
    last_runs.last_run_at,
    last_runs.last_state,
    last_runs.last_error
FROM etl.streams AS streams
CROSS JOIN clock
LEFT JOIN known
    ON known.source = streams.source AND known.stream = streams.stream
LEFT JOIN tops
    ON tops.source = streams.source AND tops.stream = streams.stream
LEFT JOIN last_runs
    ON last_runs.source = streams.source AND last_runs.stream = streams.stream
