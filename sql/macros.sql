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
