-- Every execution of every platform, in the same words.
SELECT * FROM executions_riza
