"""What is asked of the store for the report: aggregates only, never rows by the million.

What a view answers is read from it. The rest counts as the views do, over the days of the period,
which are copied once into a temporary table of the session.
"""

SOURCES_MAX = 6
NAMES_MAX = 20
ERRORS_MAX = 12
SLOWEST_MAX = 10
STREAMS_MAX = 24

PERIOD = """
WITH local AS (
    SELECT make_timestamptz($now) AT TIME ZONE timezone AS now, timezone FROM clock
),

edges AS (
    SELECT
        timezone,
        now,
        CAST(now AS DATE) AS last_day,
        last_day - (CAST($days AS INTEGER) - 1) AS first_day
    FROM local
)

SELECT
    first_day,
    last_day,
    $days AS days,
    timezone,
    now AS made_at,
    epoch_us(CAST(first_day AS TIMESTAMP) AT TIME ZONE timezone) AS since_us,
    epoch_us(CAST(last_day AS TIMESTAMP) AT TIME ZONE timezone) AS today_us,
    epoch_us(CAST(first_day - CAST($days AS INTEGER) AS TIMESTAMP) AT TIME ZONE timezone)
        AS previous_since_us,
    epoch_us((now - to_days($days)) AT TIME ZONE timezone) AS previous_until_us
FROM edges
"""
KNOWN_SOURCES = """
SELECT source FROM etl.streams UNION SELECT DISTINCT source FROM executions ORDER BY source
"""
WORDS = """
CREATE OR REPLACE TEMP MACRO rate_of(failed, finished) AS {
    'finished': finished,
    'failed': failed,
    'rate': failed / nullif(finished, 0),
    'low': wilson_low(failed, finished - failed),
    'high': wilson_high(failed, finished - failed)
};
CREATE OR REPLACE TEMP MACRO wall(moment) AS
    moment AT TIME ZONE (SELECT timezone FROM clock);
CREATE OR REPLACE TEMP MACRO enough(samples, value) AS CASE WHEN samples >= 5 THEN value END
"""
CHOSEN = """
CREATE OR REPLACE TEMP TABLE report_sources AS SELECT unnest(CAST($sources AS VARCHAR[])) AS source
"""
SHOWN = """
CREATE OR REPLACE TEMP TABLE report_executions AS
SELECT
    source,
    name,
    execution_id,
    started_at,
    isodow(local_started_at) AS weekday,
    hour(local_started_at) AS hour,
    outcome,
    outcome IN ('failure', 'error', 'timeout') AS is_failed,
    outcome = 'success' OR is_failed AS is_finished,
    CASE WHEN outcome <> 'running' THEN duration_ms END AS duration_ms,
    CASE WHEN outcome = 'success' THEN duration_ms END AS success_ms,
    day >= CAST($first_day AS DATE) AS is_shown
FROM local_executions
SEMI JOIN report_sources ON report_sources.source = local_executions.source
WHERE
    started_at >= make_timestamptz($previous_since)
    AND day <= CAST($last_day AS DATE)
    AND (is_shown OR started_at < make_timestamptz($previous_until))
"""
TOTALS = """
WITH counted AS (
    SELECT
        count(*) AS executions,
        count(*) FILTER (outcome = 'running') AS running,
        count(*) FILTER (is_finished) AS finished,
        count(*) FILTER (is_failed) AS failed,
        count(success_ms) AS measured,
        quantile_cont(success_ms, [0.5, 0.95]) AS q,
        coalesce(sum(duration_ms) FILTER (is_failed), 0)::DOUBLE AS wasted_ms,
        coalesce(sum(duration_ms), 0)::DOUBLE AS total_ms
    FROM report_executions
    WHERE is_shown = $is_shown
    HAVING count(*) > 0
)

SELECT
    executions,
    running,
    rate_of(failed, finished) AS failures,
    enough(measured, q[1]) AS p50_ms,
    enough(measured, q[2]) AS p95_ms,
    wasted_ms,
    total_ms
FROM counted
"""
IS_KNOWN = """
SELECT
    coalesce(bool_and(coalesce(
        complete_ranges.until >= make_timestamptz($until), FALSE
    )), FALSE)
FROM (SELECT source, make_timestamptz($since) AS since FROM report_sources) AS asked
ASOF LEFT JOIN complete_ranges
    ON complete_ranges.source = asked.source AND complete_ranges.since <= asked.since
"""
SOURCES = f"""
SELECT
    report_sources.source,
    coalesce(any_value(kind), '') AS kind,
    count(shown.source) AS executions,
    count(*) FILTER (is_finished) AS finished,
    count(*) FILTER (is_failed) AS failed,
    rate_of(failed, finished) AS failures,
    count(*) OVER () AS total
FROM report_sources
LEFT JOIN (FROM report_executions WHERE is_shown) AS shown
    ON shown.source = report_sources.source
LEFT JOIN (SELECT DISTINCT source, kind FROM etl.streams) AS kinds
    ON kinds.source = report_sources.source
GROUP BY report_sources.source
ORDER BY executions DESC, report_sources.source
LIMIT {SOURCES_MAX}
"""
# A day without executions has no row in a view, and is complete or not all the same.
DAYS = """
WITH days AS (
    SELECT
        source,
        CAST(unnest(generate_series(
            CAST($first_day AS TIMESTAMP), CAST($last_day AS TIMESTAMP), INTERVAL 1 DAY
        )) AS DATE) AS day
    FROM report_sources
    WHERE source IN (SELECT unnest(CAST($sources AS VARCHAR[])))
),

bounded AS (
    SELECT
        days.*,
        CAST(day AS TIMESTAMP) AT TIME ZONE timezone AS since,
        CAST(day + 1 AS TIMESTAMP) AT TIME ZONE timezone AS until
    FROM days
    CROSS JOIN clock
),

rates AS (FROM failure_rate_daily WHERE day BETWEEN $first_day AND $last_day),

durations AS (FROM duration_daily WHERE day BETWEEN $first_day AND $last_day)

SELECT
    bounded.source,
    bounded.day,
    coalesce(rates.executions, 0) AS executions,
    {
        'finished': coalesce(rates.finished, 0),
        'failed': coalesce(rates.failed, 0),
        'rate': rates.failure_rate,
        'low': rates.failure_rate_low,
        'high': rates.failure_rate_high
    } AS failures,
    durations.p50_ms,
    durations.p95_ms,
    coalesce(complete_ranges.until >= bounded.until, FALSE) AS is_complete
FROM bounded
LEFT JOIN rates ON rates.source = bounded.source AND rates.day = bounded.day
LEFT JOIN durations ON durations.source = bounded.source AND durations.day = bounded.day
ASOF LEFT JOIN complete_ranges
    ON complete_ranges.source = bounded.source AND complete_ranges.since <= bounded.since
ORDER BY bounded.source, bounded.day
"""
HOURS = """
SELECT
    weekday,
    hour,
    count(*) AS executions,
    count(*) FILTER (is_finished) AS finished,
    count(*) FILTER (is_failed) AS failed,
    rate_of(failed, finished) AS failures
FROM report_executions
WHERE is_shown
GROUP BY weekday, hour
ORDER BY weekday, hour
"""
NAMES = f"""
WITH counted AS (
    SELECT
        source,
        name,
        count(*) AS executions,
        count(*) FILTER (is_finished) AS finished,
        count(*) FILTER (is_failed) AS failed,
        count(success_ms) AS measured,
        quantile_cont(success_ms, [0.5, 0.95]) AS q
    FROM report_executions
    WHERE is_shown
    GROUP BY source, name
)

SELECT
    source,
    name,
    executions,
    rate_of(failed, finished) AS failures,
    enough(measured, q[1]) AS p50_ms,
    enough(measured, q[2]) AS p95_ms,
    count(*) OVER () AS total
FROM counted
ORDER BY failed DESC, executions DESC, source, name
LIMIT {NAMES_MAX}
"""
ERRORS = f"""
WITH counted AS (
    SELECT
        source,
        error_type,
        error_fingerprint,
        count(*) FILTER (started_at >= make_timestamptz($since)) AS failures,
        count(DISTINCT name) FILTER (started_at >= make_timestamptz($since)) AS names,
        min(started_at) AS first_seen_at,
        max(started_at) AS last_seen_at
    FROM failures
    SEMI JOIN report_sources ON report_sources.source = failures.source
    GROUP BY source, error_type, error_fingerprint
)

SELECT
    source,
    error_type,
    error_fingerprint AS message,
    failures,
    names,
    wall(counted.first_seen_at) AS first_seen_at,
    wall(counted.last_seen_at) AS last_seen_at,
    counted.first_seen_at >= make_timestamptz($since) AND $is_past_known AS is_new,
    count(*) OVER () AS total
FROM counted
WHERE failures > 0
ORDER BY failures DESC, counted.last_seen_at DESC, source, error_type, error_fingerprint
LIMIT {ERRORS_MAX}
"""
SLOWEST = f"""
SELECT source, name, execution_id, wall(started_at) AS started_at, duration_ms, outcome
FROM report_executions
WHERE is_shown AND duration_ms IS NOT NULL
ORDER BY duration_ms DESC, report_executions.started_at DESC, execution_id
LIMIT {SLOWEST_MAX}
"""
STREAMS = f"""
WITH parts AS (
    SELECT
        source,
        stream,
        list(
            [
                greatest(epoch_us(since) - $since, 0) / ($now - $since),
                least(epoch_us(until) - $since, $now - $since) / ($now - $since)
            ] ORDER BY since
        ) AS covered
    FROM known_ranges
    WHERE epoch_us(until) > $since AND epoch_us(since) < $now
    GROUP BY source, stream
)

SELECT
    coalesce(known.source, seen.source) AS source,
    coalesce(known.stream, seen.stream) AS stream,
    coalesce(seen.executions, 0) AS executions,
    coalesce(seen.running, 0) AS running,
    wall(seen.last_started_at) AS last_started_at,
    wall(known.covered_until) AS covered_until,
    ($now - epoch_us(known.covered_until)) / 1e6 AS lag_s,
    coalesce(known.gaps, 0) AS gaps,
    known.last_state,
    known.last_error,
    coalesce(parts.covered, []) AS covered,
    count(*) OVER () AS total
FROM sync_freshness AS known
FULL JOIN freshness AS seen ON seen.source = known.source AND seen.stream = known.stream
LEFT JOIN parts
    ON
        parts.source = coalesce(known.source, seen.source)
        AND parts.stream = coalesce(known.stream, seen.stream)
WHERE coalesce(known.source, seen.source) IN (SELECT source FROM report_sources)
ORDER BY gaps > 0 DESC, known.covered_until NULLS FIRST, source, stream
LIMIT {STREAMS_MAX}
"""
