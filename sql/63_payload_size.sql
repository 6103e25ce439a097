-- How large were inputs and outputs in the last 30 days, and how much in them was redacted?
WITH measured AS (
    SELECT
        source,
        name,
        count(*) AS executions,
        CAST(sum(
            coalesce(input_bytes, 0) + coalesce(output_bytes, 0)
            + coalesce(stdout_bytes, 0) + coalesce(stderr_bytes, 0)
        ) AS BIGINT) AS total_bytes,
        count(input_bytes) AS inputs,
        quantile_cont(input_bytes, [0.5, 0.95]) AS input_q,
        max(input_bytes) AS input_max_bytes,
        count(output_bytes) AS outputs,
        quantile_cont(output_bytes, [0.5, 0.95]) AS output_q,
        max(output_bytes) AS output_max_bytes,
        count(stdout_bytes) AS stdouts,
        quantile_cont(stdout_bytes, [0.5, 0.95]) AS stdout_q,
        max(stdout_bytes) AS stdout_max_bytes,
        count(stderr_bytes) AS stderrs,
        quantile_cont(stderr_bytes, [0.5, 0.95]) AS stderr_q,
        max(stderr_bytes) AS stderr_max_bytes,
        CAST(sum(redactions) AS BIGINT) AS redactions
    FROM mapped_executions
    WHERE started_at >= (SELECT now - INTERVAL 30 DAY FROM clock)
    GROUP BY source, name
)

-- Below 5 samples a quantile is only a number.
SELECT
    source,
    name,
    executions,
    total_bytes,
    CASE WHEN inputs >= 5 THEN input_q[1] END AS input_p50_bytes,
    CASE WHEN inputs >= 5 THEN input_q[2] END AS input_p95_bytes,
    CASE WHEN inputs >= 5 THEN input_max_bytes END AS input_max_bytes,
    CASE WHEN outputs >= 5 THEN output_q[1] END AS output_p50_bytes,
    CASE WHEN outputs >= 5 THEN output_q[2] END AS output_p95_bytes,
    CASE WHEN outputs >= 5 THEN output_max_bytes END AS output_max_bytes,
    CASE WHEN stdouts >= 5 THEN stdout_q[1] END AS stdout_p50_bytes,
    CASE WHEN stdouts >= 5 THEN stdout_q[2] END AS stdout_p95_bytes,
    CASE WHEN stdouts >= 5 THEN stdout_max_bytes END AS stdout_max_bytes,
    CASE WHEN stderrs >= 5 THEN stderr_q[1] END AS stderr_p50_bytes,
    CASE WHEN stderrs >= 5 THEN stderr_q[2] END AS stderr_p95_bytes,
    CASE WHEN stderrs >= 5 THEN stderr_max_bytes END AS stderr_max_bytes,
    redactions,
    redactions / executions AS redactions_per_execution
FROM measured
