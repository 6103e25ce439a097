-- Which executions failed, and with which error once numbers, names and places are taken out?
WITH failed AS MATERIALIZED (
    SELECT
        source,
        kind,
        stream,
        execution_id,
        name,
        type,
        language,
        started_at,
        duration_ms,
        error_type,
        error_message
    FROM executions
    WHERE outcome IN ('failure', 'error', 'timeout')
),

-- Many fail with the same words.
messages AS (
    SELECT DISTINCT error_message AS message
    FROM failed
    WHERE error_message IS NOT NULL
),

-- From the widest to the narrowest: a URL holds a path, a path holds numbers.
unquoted AS (
    SELECT
        message,
        regexp_replace(
            message, '"[^"]*"|\B''[^'']*''|`[^`'']*[`'']', '<text>', 'g'
        ) AS without_text,
        regexp_replace(
            without_text, '[A-Za-z][A-Za-z0-9+.-]*://[^\s"''<>)]+', '<url>', 'g'
        ) AS without_urls,
        regexp_replace(
            without_urls,
            '\b[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}\b',
            '<uuid>', 'g'
        ) AS without_uuids,
        regexp_replace(
            without_uuids,
            '(?:\b[A-Za-z]:)?(?:[\w.~@+-]*[/\\][\w.~@+-]+)+[/\\]?',
            '<path>', 'g'
        ) AS without_paths,
        regexp_replace(
            without_paths,
            '\b(?:0[xX][0-9A-Fa-f]+|hmac:[0-9a-f]+|[0-9A-Fa-f]{8,})\b',
            '<hex>', 'g'
        ) AS without_hex,
        regexp_replace(without_hex, '[0-9]+(?:[.,:_][0-9]+)*', '<n>', 'g') AS error_fingerprint
    FROM messages
)

SELECT
    failed.*,
    unquoted.error_fingerprint
FROM failed
LEFT JOIN unquoted ON unquoted.message = failed.error_message
