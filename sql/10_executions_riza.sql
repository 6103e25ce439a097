-- How do Riza's executions read in the words every platform shares?
WITH judged AS (
    SELECT
        *,
        -- Exit code 0 is not enough: a result that could not be serialized never arrived.
        CASE
            WHEN exit_code = 0 AND coalesce(output_status, 'valid') = 'valid' THEN 'success'
            WHEN exit_code <> 0 THEN 'failure'
            WHEN output_status IN ('error', 'json_serialization_error') THEN 'failure'
            ELSE 'unknown'
        END AS outcome,
        CASE
            WHEN outcome = 'failure' AND find_told_bytes(stderr) IS NULL THEN right(stderr, 8000)
        END AS stderr_end,
        regexp_extract(stderr_end, '([^\r\n]*\S)\s*$', 1) AS last_line,
        -- What is negative, or longer than a century, is no measurement.
        CASE WHEN duration_ms BETWEEN 0 AND 3_155_760_000_000 THEN duration_ms END
            AS valid_duration_ms,
        concat(
            code,
            stdin,
            CAST(input AS VARCHAR),
            CAST(output AS VARCHAR),
            stdout,
            stderr,
            CAST(args AS VARCHAR)
        ) AS payload
    FROM riza.executions
),

explained AS (
    SELECT
        *,
        left(
            CASE
                -- Python ends with the exception.
                WHEN regexp_matches(
                    last_line,
                    '^(?:(?:[A-Za-z_]\w*(?:\.|::|\\))+[A-Z]\w*(?::|\s*$)|'
                    || '(?:[A-Za-z_]\w*(?:\.|::|\\))*\w*'
                    || '(?:Error|Exception|Interrupt|Exit|Iteration)\b)'
                ) THEN last_line
                ELSE coalesce(
                    -- Node and PHP begin a line with it, the last such line counts.
                    nullif(regexp_extract(
                        stderr_end,
                        '(?s)^(?:.*\n)?((?:PHP Fatal error: +)?(?:Uncaught )?'
                        || '(?:(?:[A-Za-z_]\w*(?:\.|::|\\))+[A-Z]\w*(?::|\s*(?:\n|$))|'
                        || '(?:[A-Za-z_]\w*(?:\.|::|\\))*\w*'
                        || '(?:Error|Exception|Interrupt|Exit|Iteration)\b)[^\r\n]*)',
                        1
                    ), ''),
                    -- Ruby ends a line with it, TypeScript has a code in the middle.
                    nullif(regexp_extract(
                        stderr_end,
                        '[^\r\n]*(?:\([A-Z][\w:]*(?:Error|Exception)\)|: error [A-Z]+\d+:)[^\r\n]*'
                    ), ''),
                    nullif(trim(last_line), '')
                )
            END,
            1000
        ) AS error_line
    FROM judged
)

SELECT
    source,
    'riza' AS kind,
    stream,
    id AS execution_id,
    -- Functions and scripts have no name, the same code is the same thing. What was computed from
    -- a payload before that was pruned is kept.
    coalesce(
        nullif(tool_id, ''),
        type || ' ' || left(md5(code), 12),
        kept_metrics ->> 'name',
        type
    ) AS name,
    type,
    language,
    started_at,
    make_timestamptz(epoch_us(started_at) + 1000 * valid_duration_ms) AS ended_at,
    valid_duration_ms AS duration_ms,
    CAST(NULL AS BIGINT) AS queue_ms,
    outcome,
    CASE
        WHEN outcome <> 'failure' THEN NULL
        WHEN coalesce(exit_code, 0) = 0 THEN output_status
        ELSE coalesce(
            nullif(regexp_extract(
                error_line,
                '^(?:[A-Za-z_]\w*(?:\.|::|\\))+[A-Z]\w*|'
                || '(?:[A-Za-z_]\w*(?:\.|::|\\))*\w*'
                || '(?:Error|Exception|Interrupt|Exit|Iteration)\b'
            ), ''),
            nullif(regexp_extract(error_line, ': error ([A-Z]+\d+):', 1), ''),
            kept_metrics ->> 'error_type',
            'exit code ' || exit_code
        )
    END AS error_type,
    error_line AS error_message,
    exit_code,
    output_status AS source_status,
    CAST(NULL AS BIGINT) AS attempt,
    first_synced_at,
    synced_at,
    revision_id AS version,
    -- What payloads = "none" left out cannot be told to be the same.
    CASE
        WHEN code IS NOT NULL OR input IS NOT NULL
            THEN hash(tool_id, revision_id, language, code, args, stdin, input)
        ELSE CAST(kept_metrics ->> 'work_id' AS UBIGINT)
    END AS work_id,
    coalesce(measure_bytes(input), CAST(kept_metrics ->> 'input_bytes' AS BIGINT))
        AS input_bytes,
    coalesce(measure_bytes(output), CAST(kept_metrics ->> 'output_bytes' AS BIGINT))
        AS output_bytes,
    coalesce(measure_bytes(stdout), CAST(kept_metrics ->> 'stdout_bytes' AS BIGINT))
        AS stdout_bytes,
    coalesce(measure_bytes(stderr), CAST(kept_metrics ->> 'stderr_bytes' AS BIGINT))
        AS stderr_bytes,
    CASE
        WHEN contains(payload, 'hmac:') THEN count_fingerprints(payload)
        ELSE coalesce(CAST(kept_metrics ->> 'redactions' AS BIGINT), 0)
    END AS redactions
FROM explained
