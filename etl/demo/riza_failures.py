"""How executions fail: exit codes and the texts that interpreters print."""

from typing import NamedTuple


class Failure(NamedTuple):
    """One way to fail. `stderr` has the placeholders {line}, {caller_line} and {host}."""

    stderr: str
    exit_code: int = 1
    is_transient: bool = False
    is_timeout: bool = False
    output_status: str = "error"


_PYTHON_HEAD = (
    'Traceback (most recent call last):\n  File "main.py", line {caller_line}, in <module>\n'
    "    result = execute(payload)\n             ^^^^^^^^^^^^^^^^\n"
    '  File "main.py", line {line}, in execute\n'
)
_REQUESTS_LINES = (
    "    response.raise_for_status()\n"
    '  File "/usr/lib/python3.12/site-packages/requests/models.py", '
    "line 1024, in raise_for_status\n    raise HTTPError(http_error_msg, response=self)\n"
)
_NODE_TAIL = (
    "    at execute (file:///app/main.mjs:{line}:17)\n"
    "    at process.processTicksAndRejections (node:internal/process/task_queues:105:5)\n"
    "    at async file:///app/runner.mjs:{caller_line}:18\n\nNode.js v22.11.0\n"
)
_NODE_429 = "Error: HTTP 429 from {host}\n" + _NODE_TAIL
_NODE_503 = "Error: HTTP 503 from {host}\n" + _NODE_TAIL
_NODE_RESET = (
    "TypeError: fetch failed\n" + _NODE_TAIL + "  [cause]: Error: read ECONNRESET {host}:443\n"
)

PYTHON = {
    "key_error": Failure(
        _PYTHON_HEAD + "    lead = input[\"lead\"]\n           ~~~~~^^^^^^^^\nKeyError: 'lead'\n"
    ),
    "value_error": Failure(
        _PYTHON_HEAD + "    raise ValueError(message) from error\n"
        "ValueError: line {line}: amount is not a number\n"
    ),
    "zero_division": Failure(
        _PYTHON_HEAD + "    mean = total / count\n           ~~~~~~^~~~~~~\n"
        "ZeroDivisionError: division by zero\n"
    ),
    "no_module": Failure(
        'Traceback (most recent call last):\n  File "main.py", line 1, in <module>\n'
        "    import pandas as pd\nModuleNotFoundError: No module named 'pandas'\n"
    ),
    "no_file": Failure(
        _PYTHON_HEAD + "    rows = list(csv.DictReader(path.open(encoding='utf-8')))\n"
        "FileNotFoundError: [Errno 2] No such file or directory: 'upload/invoice-{line}.csv'\n"
    ),
    "syntax": Failure(
        '  File "main.py", line {line}\n    for row in rows\n                   ^\n'
        "SyntaxError: expected ':'\n"
    ),
    "http_429": Failure(
        _PYTHON_HEAD + _REQUESTS_LINES + "requests.exceptions.HTTPError: 429 Client Error: "
        "Too Many Requests for url: https://{host}/v2/items?page={line}\n",
        is_transient=True,
    ),
    "http_503": Failure(
        _PYTHON_HEAD + _REQUESTS_LINES + "requests.exceptions.HTTPError: 503 Server Error: "
        "Service Unavailable for url: https://{host}/v2/items?page={line}\n",
        is_transient=True,
    ),
    "database": Failure(
        _PYTHON_HEAD + "    rows = cursor.execute(QUERY, window).fetchall()\n"
        "psycopg.errors.QueryCanceled: canceling statement due to statement timeout\n",
        is_transient=True,
    ),
    "timeout": Failure("Killed\n", exit_code=137, is_transient=True, is_timeout=True),
    "memory": Failure("Killed\n", exit_code=137),
    "not_serializable": Failure(
        "TypeError: Object of type datetime is not JSON serializable\n",
        exit_code=0,
        output_status="json_serialization_error",
    ),
}
JAVASCRIPT = {
    "type_error": Failure(
        "TypeError: Cannot read properties of undefined (reading 'geometry')\n" + _NODE_TAIL
    ),
    "reference_error": Failure("ReferenceError: contacts is not defined\n" + _NODE_TAIL),
    "http_429": Failure(_NODE_429, is_transient=True),
    "http_503": Failure(_NODE_503, is_transient=True),
    "reset": Failure(_NODE_RESET, is_transient=True),
    "timeout": Failure("", exit_code=137, is_transient=True, is_timeout=True),
    "not_serializable": Failure(
        "TypeError: Do not know how to serialize a BigInt\n    at JSON.stringify (<anonymous>)\n",
        exit_code=0,
        output_status="json_serialization_error",
    ),
}
TYPESCRIPT = JAVASCRIPT | {
    "compile": Failure(
        "main.ts({line},{caller_line}): error TS2345: Argument of type 'string | null' is not "
        "assignable to parameter of type 'string'.\n",
        exit_code=2,
    ),
}
RUBY = {
    "no_method": Failure(
        "main.rb:{line}:in `block in <main>': undefined method `scan' for nil (NoMethodError)\n"
        "\tfrom main.rb:{caller_line}:in `each'\n"
    ),
    "findings": Failure(""),
    "timeout": Failure("Killed\n", exit_code=137, is_transient=True, is_timeout=True),
}
PHP = {
    "type_error": Failure(
        "PHP Fatal error:  Uncaught TypeError: array_slice(): Argument #1 ($array) must be of type "
        "array, string given in /app/main.php:{line}\nStack trace:\n#0 {{main}}\n  thrown\n",
        exit_code=255,
    ),
    "bad_json": Failure("invalid JSON: Syntax error\n", exit_code=2),
}
FAILURES = {
    "python": PYTHON,
    "javascript": JAVASCRIPT,
    "typescript": TYPESCRIPT,
    "ruby": RUBY,
    "php": PHP,
}
# What one sees when the services behind go down.
INCIDENT_FAILURES = ("http_503", "http_503", "http_429", "timeout")
