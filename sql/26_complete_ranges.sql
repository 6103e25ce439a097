-- For which ranges of start time is every execution of a source known to be here?
WITH waits AS (
    SELECT
        source,
        max(epoch_us(started_at) - epoch_us(created_at)) AS longest_us
    FROM b3os.executions
    WHERE started_at > created_at
    GROUP BY source
),

ranges AS (
    SELECT
        known.source,
        known.stream,
        -- B3OS's ledger is of the time of making: what was made in the gap before may have started
        -- in the range, as long after as the longest that is known.
        make_timestamptz(least(
            epoch_us(known.since) + coalesce(waits.longest_us, 0),
            epoch_us(known.until)
        )) AS since,
        known.until
    FROM known_ranges AS known
    LEFT JOIN etl.streams AS streams
        ON streams.source = known.source AND streams.stream = known.stream
    LEFT JOIN waits
        ON waits.source = known.source AND streams.kind = 'b3os'
    WHERE known.stream <> 'task_instances'
    -- Airflow's ledger is of update time: what started in a range was updated in it or later, so
    -- only a range that reaches up to the newest time known has all of it.
    QUALIFY
        streams.kind IS DISTINCT FROM 'airflow'
        OR known.until = max(known.until) OVER (
            PARTITION BY known.source, known.stream
        )
),

stream_counts AS (
    SELECT
        source,
        count(DISTINCT stream) AS streams
    FROM (
        SELECT source, stream FROM etl.streams
        UNION ALL
        SELECT source, stream FROM etl.coverage
    )
    WHERE stream <> 'task_instances'
    GROUP BY source
),

edges AS (
    SELECT source, since AS edge, 1 AS step FROM ranges
    UNION ALL
    SELECT source, until AS edge, -1 AS step FROM ranges
),

levels AS (
    SELECT
        source,
        edge AS since,
        lead(edge) OVER (PARTITION BY source ORDER BY edge) AS until,
        sum(sum(step)) OVER (PARTITION BY source ORDER BY edge) AS covered_streams
    FROM edges
    GROUP BY source, edge
)

SELECT
    levels.source,
    levels.since,
    levels.until
FROM levels
JOIN stream_counts
    ON stream_counts.source = levels.source AND stream_counts.streams = levels.covered_streams
