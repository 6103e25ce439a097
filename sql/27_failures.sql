-- Which executions failed, and with which error once numbers, names and places are taken out?
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
    error_message,
    -- From the widest to the narrowest: a URL holds a path, a path holds numbers.
    regexp_replace(
        regexp_replace(
            regexp_replace(
                regexp_replace(
                    regexp_replace(
                        regexp_replace(
                            error_message,
                            '"[^"]*"|\B''[^'']*''|`[^`'']*[`'']',
                            '<text>', 'g'
                        ),
                        '[A-Za-z][A-Za-z0-9+.-]*://[^\s"''<>)]+',
                        '<url>', 'g'
                    ),
                    '\b[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}\b',
                    '<uuid>', 'g'
                ),
                '(?:\b[A-Za-z]:)?(?:[\w.~@+-]*[/\\][\w.~@+-]+)+[/\\]?',
                '<path>', 'g'
            ),
            '\b(?:0[xX][0-9A-Fa-f]+|hmac:[0-9a-f]+|[0-9A-Fa-f]{8,})\b',
            '<hex>', 'g'
        ),
        '[0-9]+(?:[.,:_][0-9]+)*',
        '<n>', 'g'
    ) AS error_fingerprint
FROM executions
WHERE outcome IN ('failure', 'error', 'timeout')
