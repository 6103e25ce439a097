-- What several views compute in the same way. Readers of the store may use them, too.

-- Wilson's interval at 95 % around the share that failed: 1.959964 is the normal quantile,
-- 3.841458881296 its square. Of nothing there is none; of successes only it begins at 0, of
-- failures only it ends at 1.
CREATE OR REPLACE MACRO wilson_margin(failed, succeeded) AS
    1.959964 * sqrt(failed * succeeded / nullif(failed + succeeded, 0) + 0.960364720324);

CREATE OR REPLACE MACRO wilson_low(failed, succeeded) AS
    CASE
        WHEN failed > 0
            THEN (failed + 1.920729440648 - wilson_margin(failed, succeeded))
                / (failed + succeeded + 3.841458881296)
        WHEN succeeded > 0 THEN 0.0
    END;

CREATE OR REPLACE MACRO wilson_high(failed, succeeded) AS
    CASE
        WHEN succeeded > 0
            THEN (failed + 1.920729440648 + wilson_margin(failed, succeeded))
                / (failed + succeeded + 3.841458881296)
        WHEN failed > 0 THEN 1.0
    END;

-- The size of a text that payloads = "none" left out: size and hash stand in its place. NULL of
-- any other.
CREATE OR REPLACE MACRO find_told_bytes(stored) AS
    CASE WHEN starts_with(stored, '{"bytes":') THEN TRY_CAST(
        regexp_extract(stored, '^\{"bytes":(\d+),"hash":"hmac:[0-9a-f]{16}"\}$', 1) AS BIGINT
    ) END;

-- How large a text is, or was.
CREATE OR REPLACE MACRO measure_bytes(stored) AS
    coalesce(find_told_bytes(stored), strlen(stored));

-- How many secrets were in a text: each has a fingerprint in its place. The hashes of what was left
-- out are none; where a text begins with one, all that follow it were left out, too.
CREATE OR REPLACE MACRO count_fingerprints(stored) AS
    (strlen(stored) - strlen(replace(stored, 'hmac:', ''))) // 5
    - CASE
        WHEN starts_with(stored, '{"bytes":')
            THEN (strlen(stored) - strlen(replace(stored, '"hash":"hmac:', ''))) // 13
        ELSE 0
    END;
