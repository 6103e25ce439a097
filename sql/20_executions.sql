-- Every execution of every platform, in the same words.
SELECT * EXCLUDE (work_id) FROM executions_airflow
UNION ALL BY NAME
SELECT * EXCLUDE (work_id) FROM executions_riza
