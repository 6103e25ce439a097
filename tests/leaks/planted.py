"""The secrets that are planted, by where they stand. Each is of a shape of its own."""

# In pieces, so that nobody's scanner takes the tests for a leak.
KNOWN_PLACES = {
    "auth, basic": "corr3ct-horse/batt?ry",
    "auth, basic, key as the user": "rk-" + "basic-user-8Hq2",
    "auth, bearer": "eyJhbGciOiJIUzI1NiJ9" + ".eyJzdWIiOiI0MiJ9" + ".dGhlLXNpZ25hdHVyZQ",
    "auth, header": "9f86d081884c7d659a2feaa0c55ad015",
    "auth, query": "c0ffee00-1234-4678-9abc-def012345678",
    "env, map": "sk-" + "live0Kx7Qz2WmJv9RtYp4Ls6",
    "env, map, with marks": 'p@ss "w\\rd" <&> 100% / ö€',
    "env, map, many lines": "-----BEGIN OPENSSH KEY-----\nb3BlbnNzaC1rZXk\nAAAAtzc2g\n-----END",
    "env, map, in other letters": "пароль-секрет-№7",
    "env, list": "Zx81-sinclair-1981",
    "env, list, number": "8204719365027",
}
"""What stands in columns and fields that hold a secret by their nature."""

NAMED = {
    "input.password": "hunter2-hunter2",
    "input, openaiApiKey": "oa" + "-proj-77aa88bb99cc",
    "input, DB_PASSWORD": "Tr0ub4dor&3",
    "input, x-api-key": "xk.5f4dcc3b5aa765d61d83",
    "input, Authorization": "Bearer mF_9.B5f-4.1JqM",
    "input, name and value": "session=31d4d96e407aad42",
    "input, number": "84739201563",
    "input, deep": "d33p-d0wn-1n-th3-tr33",
    "input, JSON in JSON": "cl13nt/s3cret==",
    "input, JSON in JSON in JSON": "matryoshka-1890-nested",
    "output, access_token": "at_0123456789abcdefXYZ",
    "stdin, JSON": "MIIEvQIBADANBgkqhkiG9w0",
    "args, JSON": "arg-k3y-in-json-77",
    "stdout, lines of JSON": "ndjson-s3cr3t-5511",
    "stderr, as Python prints it": "py-repr-s3cr3t-9922",
    "unknown, credentials": "gr4nt-me-4ccess-please",
    "unknown, oauth": "oauth2-client-pw-6634",
    "Airflow, conf": "airflow-conf-key-0815",
    "Airflow, conf, deep": "airflow-conf-pw-4711",
    "Airflow, rendered_fields": "wJalrXUtnFEMI/K7MDENG+bPxRfiCY",
    "Airflow, trigger": "trigger-kwargs-pw-3141",
    "Airflow, triggerer_job": "triggerer-pw-2653",
    "Airflow, executor_config": "k8s-pull-secret-2718",
    "Airflow, unknown": "backend-token-1618",
    "B3OS, requestPayload": "Basic dTpzM2NyM3QtYjNvcw==",
    "B3OS, responsePayload": "b3-access-tok-5772",
    "B3OS, clientSafeMetadata": "whk-" + "not-so-client-safe-1414",
    "B3OS, event": "b3-event-apikey-1732",
    "Foundry, unknown": "foundry-caller-token-2236",
}
"""What stands below a key name that means a secret."""

CONNECTIONS = {
    "connection, code": "amqp-pw-Xk29",
    "connection, user with an @": "smtp-pw-Rt72",
    "connection, long": "Aq9" * 100 + "-long-pw",
    "connection, escaped": "p@ss/esc-pw-Gd31",
    "connection, host": "host-pw-Lm19",
    "connection, env": "pg-pw-Qv83-long",
    "connection, output": "redis-pw-Jn57",
    "connection, settings": "mssql-pw-Pc37",
    "connection, Airflow, conf": "mysql-pw-Wd46",
    "connection, Airflow, note": "smtp-pw-Kf35",
    "connection, Airflow, dag_versions": "git-pw-Bz24",
    "connection, B3OS, message": "mongo-pw-Vt68",
    "connection, Foundry, failureReason": "jdbc-pw-Hy91",
}
"""Passwords of connection strings."""

SHAPES = {
    "shape, B3OS, title": "ghp_" + "a1B2c3D4e5F6" * 3,
    "shape, private key": "-----BEGIN PRIVATE"
    + " KEY-----\nMIIEkeyInCode91\n-----END PRIVATE KEY-----",
}
"""What is known by its shape: the first by a source with `detect_secrets` only."""

BROKEN = {
    "broken, env": "broken-env-s3cret-101",
    "broken, bearer": "broken-bearer-tok-202",
    "broken, header": "broken-header-val-303",
    "broken, no JSON": "broken-no-json-404",
    "broken, named": "broken-named-pw-505",
}
"""What stands in records that nobody understands."""

DROPPED = {"file": "s3cret-of-a-file-that-is-not-kept"}
"""What is not kept at all."""

SAID = {
    "refused, assignment": "said-401-key-606",
    "refused, bearer": "said-401-bearer-707",
    "failing, connection": "said-500-pw-808",
    "failing, not shown": "said-500-body-909",
    "moved, user": "said-302-pw-111",
    "moved, query": "said-302-key-222",
    "HTML": "said-html-pw-333",
}
"""What the API says in errors; never stored, whatever the policy."""

TOKEN = "api-token/of+the&corpus=Zq7"
"""With which the program asks; encodings write it differently."""

PLANTED = KNOWN_PLACES | NAMED | CONNECTIONS | SHAPES | BROKEN | DROPPED
"""What is stored by `full`."""

FINGERPRINTED = KNOWN_PLACES | NAMED | CONNECTIONS | SHAPES | BROKEN
