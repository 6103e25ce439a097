-- What ran, on every platform, with what only some views need?
SELECT * FROM executions_airflow
UNION ALL BY NAME
SELECT * FROM executions_b3os
UNION ALL BY NAME
SELECT * FROM executions_foundry
UNION ALL BY NAME
SELECT * FROM executions_riza
