"""APIs that serve records with secrets in them: raw, and as programs write and print them."""

import base64
import html
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote, quote_plus

import httpx

from tests.leaks.planted import BROKEN, CONNECTIONS, DROPPED, KNOWN_PLACES, NAMED, SAID, SHAPES
from tests.leaks.planted import TOKEN as TOKEN
from tests.sources import b3os_server, foundry_server

Record = dict[str, Any]
Handler = Callable[[httpx.Request], httpx.Response]

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
NOW = NOON + timedelta(hours=2)
S = KNOWN_PLACES | NAMED | CONNECTIONS | SHAPES | BROKEN | DROPPED | SAID

CONFIG = """\
[store]
publish = "published.duckdb"

[sync]
batch_rows = 1

[sources.interpreter]
kind = "riza"
base_url = "http://riza.test"
token_env = "API_TOKEN"
page_size = 3
payloads = "POLICY"

[sources.dags]
kind = "airflow"
base_url = "http://airflow.test"
token_env = "API_TOKEN"
payloads = "POLICY"

[sources.workflows]
kind = "b3os"
base_url = "http://b3os.test"
token_env = "API_TOKEN"
payloads = "POLICY"
events = true
detect_secrets = true

[sources.functions]
kind = "foundry"
base_url = "http://foundry.test"
token_env = "API_TOKEN"
payloads = "POLICY"
since = 2026-03-01T00:00:00Z
resources = ["RID"]

[sources.refused]
kind = "riza"
base_url = "http://refused.test"
token_env = "API_TOKEN"

[sources.failing]
kind = "riza"
base_url = "http://failing.test"
token_env = "API_TOKEN"

[sources.moved]
kind = "riza"
base_url = "http://moved.test"
token_env = "API_TOKEN"

[sources.html]
kind = "riza"
base_url = "http://html.test"
token_env = "API_TOKEN"
""".replace("RID", foundry_server.RID)


def answer(request: httpx.Request) -> httpx.Response:
    """All of these APIs, by host."""
    return HANDLERS[request.url.host](request)


def make_execution(minute: int, request: Record, response: Record, **more: Any) -> Record:
    return {
        "id": f"exec{minute:02}",
        "started_at": (NOON + timedelta(minutes=minute)).isoformat(),
        "language": "python",
        "duration": 5,
        "exit_code": 0,
        "details": {"type": "script", "request": request, "response": response},
    } | more


def list_allowed() -> list[Record]:
    """Every form of authorisation."""
    forms: list[Record] = [
        {"basic": {"user_id": "me", "password": S["auth, basic"]}},
        {"basic": {"user_id": S["auth, basic, key as the user"], "password": ""}},
        {"bearer": {"token": S["auth, bearer"]}},
        {"header": {"name": "X-Key", "value": S["auth, header"]}},
        {"query": {"key": "key", "value": S["auth, query"]}},
    ]
    address = f"https://me:{S['connection, host']}@example.com"
    hosts = [{"host": f"{n}.example.com", "auth": form} for n, form in enumerate(forms)]
    return [*hosts, {"host": address}]


def list_executions() -> list[Record]:
    return [
        make_execution(1, {"http": {"allow": list_allowed()}}, echo_auth()),
        make_execution(2, *use_environment()),
        make_execution(3, *use_listed_environment()),
        make_execution(4, {"input": make_input()}, make_output()),
        make_execution(5, *print_documents()),
        make_execution(6, {"files": [{"path": "a.env", "contents": f"K={DROPPED['file']}"}]}, {}),
        make_execution(7, *send_unknown_fields(), credentials={"grant": S["unknown, credentials"]}),
    ]


def echo_auth() -> Record:
    """What a verbose HTTP client prints."""
    basic = base64.b64encode(f"me:{S['auth, basic']}".encode()).decode()
    stderr = f"> Authorization: Basic {basic}\n> X-Key: {S['auth, header']}\n"
    return {
        "stderr": stderr + f"> GET /?key={quote_plus(S['auth, query'])}\n",
        "stdout": f"Bearer {S['auth, bearer']}",
        "output": {"error": f"HTTP 401 for {S['auth, bearer']}"},
    }


def use_environment() -> tuple[Record, Record]:
    """A map, and its values in code, arguments, input and streams, in each encoding."""
    key, marks = S["env, map"], S["env, map, with marks"]
    lines, letters = S["env, map, many lines"], S["env, map, in other letters"]
    env = {
        "OPENAI_API_KEY": key,
        "MARKS": marks,
        "PEM": lines,
        "LETTERS": letters,
        "QUEUE_URL": f"amqp://app:{quote(S['connection, escaped'], safe='')}@mq",
        "DATABASE_URL": f"postgresql://app:{S['connection, env']}@db:5432/app",
    }
    coded = base64.b64encode(f"user:{marks}".encode()).decode()
    escaped = S["connection, escaped"]
    request = {
        "env": env,
        "code": f"client = Client('{key}')\nmq = 'amqp://svc:{S['connection, code']}@mq/v'\n",
        "args": ["--key", key, f"--marks={quote(marks, safe='')}"],
        "stdin": f"{letters}\n{lines}\n",
        "input": {"seen": key, "quoted": json.dumps({"marks": marks}), marks: [letters]},
    }
    response = {
        "stdout": f"{json.dumps(marks)} {json.dumps(letters)} {quote_plus(letters)}",
        "stderr": f"password refused: {S['connection, env']}, {escaped}\nBasic {coded}",
        "output": {"b64": base64.urlsafe_b64encode(lines.encode()).decode(), "html": f"<{key}>"},
    }
    return request, response


def use_listed_environment() -> tuple[Record, Record]:
    value, number = S["env, list"], S["env, list, number"]
    env = [{"name": "ZX", "value": value}, {"name": "PIN", "value": number}]
    response = {"output": {"pin": int(number), "zx": [value]}, "stdout": f"{value}:{number}"}
    return {"env": env}, response


def make_input() -> Record:
    """Key names that mean a secret, at each depth."""
    inner = json.dumps({"passphrase": S["input, JSON in JSON in JSON"]})
    return {
        "password": S["input.password"],
        "config": {"openaiApiKey": S["input, openaiApiKey"], "max_tokens": 5},
        "services": [[{"DB_PASSWORD": S["input, DB_PASSWORD"]}]],
        "headers": {
            "x-api-key": S["input, x-api-key"],
            "Authorization": S["input, Authorization"],
        },
        "pairs": [{"name": "Cookie", "value": S["input, name and value"]}],
        "pin_token": int(S["input, number"]),
        "credentials": {"of": [{"all": {"sorts": S["input, deep"]}}]},
        "body": json.dumps({"client_secret": S["input, JSON in JSON"]}),
        "outer": json.dumps({"inner": inner}),
    }


def make_output() -> Record:
    bare = S["input, Authorization"].removeprefix("Bearer ")
    output = {
        "access_token": S["output, access_token"],
        "cache": f"redis://:{S['connection, output']}@cache:6379/0",
        "echo": [S["input.password"], bare],
        "smtp": f"smtp://me@example.com:{S['connection, user with an @']}@smtp.example.com:587",
        "index": f"https://aws:{S['connection, long']}@packages.example.com/simple/",
    }
    return {"output": output, "stdout": f"sent {bare}"}


def print_documents() -> tuple[Record, Record]:
    """JSON, and what Python prints of a dictionary, in texts."""
    request = {
        "code": f'key = """{S["shape, private key"]}"""',
        "stdin": json.dumps({"private_key": S["stdin, JSON"]}),
        "args": [json.dumps({"api_key": S["args, JSON"]})],
    }
    lines = [{"level": "info"}, {"level": "debug", "token": S["stdout, lines of JSON"]}]
    response = {
        "stdout": "\n".join(json.dumps(line) for line in lines),
        "stderr": str({"user": "u", "passwd": S["stderr, as Python prints it"]}),
    }
    return request, response


def send_unknown_fields() -> tuple[Record, Record]:
    auth = {"oauth2": {"client": "c", "secret_value": S["unknown, oauth"]}}
    echo = f"the key is {S['env, map']}"
    request = {
        "env": {"OPENAI_API_KEY": S["env, map"]},
        "http": {"allow": [{"host": "h", "auth": auth}]},
        "hint": [echo, {"more": echo}],
    }
    return request, {"trace": echo}


def list_broken() -> list[str]:
    """Records that are not what the API documents, as JSON text."""
    wrong_type = make_execution(
        11,
        {
            "env": {"K": S["broken, env"]},
            "code": S["broken, env"],
            "input": {"pwd": S["broken, named"]},
        },
        {"stdout": f"{S['broken, env']} {S['broken, named']}"},
        duration="long",
    )
    bearer = {"host": "h", "auth": {"bearer": {"token": S["broken, bearer"]}}}
    no_id = make_execution(12, {"http": {"allow": [bearer]}}, {})
    header = {"host": "h", "auth": {"header": {"name": "X", "value": S["broken, header"]}}}
    no_time = make_execution(13, {"http": {"allow": [header]}}, {}, started_at="yesterday")
    env = json.dumps({"K": S["broken, no JSON"]})
    no_json = f'{{"id": "x", "details": {{"request": {{"env": {env}, oops}}}}}}'
    del no_id["id"]
    return [json.dumps(wrong_type), json.dumps(no_id), json.dumps(no_time), no_json]


def answer_riza(request: httpx.Request) -> httpx.Response:
    """The list, newest first; each page may have a record in it that is broken."""
    records = list_executions()[::-1]
    ids = [record["id"] for record in records]
    after = request.url.params.get("starting_after")
    place = ids.index(after) + 1 if after in ids else 0
    raws = [json.dumps(r) for r in records[place : place + int(request.url.params["limit"])]]
    if place == 0:
        raws[1:1] = list_broken()
    return httpx.Response(200, text='{"data":[' + ",".join(raws) + "]}")


def answer_airflow(request: httpx.Request) -> httpx.Response:
    named = "dag_runs" if request.url.path.endswith("dagRuns") else "task_instances"
    rows = {"dag_runs": [make_dag_run()], "task_instances": [make_task()]}[named]
    return httpx.Response(200, json={named: rows, "total_entries": 1, "next_cursor": None})


def make_dag_run() -> Record:
    conf = {
        "api_key": S["Airflow, conf"],
        "target": {"options": [{"userPassword": S["Airflow, conf, deep"]}]},
        "odbc": f"Server=tcp:db,1433;User ID=etl;Password={S['connection, settings']};Encrypt=True",
        "dsn": f"mysql://etl:{S['connection, Airflow, conf']}@db/x",
    }
    bundle = f"https://bot:{S['connection, Airflow, dag_versions']}@git.example.com/dags"
    note = f"ran with {S['Airflow, conf']}; smtp://m:{S['connection, Airflow, note']}@mail"
    return {
        "dag_id": "dag",
        "dag_run_id": "run",
        "state": "success",
        "run_after": NOON.isoformat(),
        "conf": conf,
        "note": note,
        "dag_versions": [{"version_number": 1, "bundle_url": bundle}],
        "secrets_backend": {"token": S["Airflow, unknown"]},
    }


def make_task() -> Record:
    fields = {"env": {"AWS_SECRET_ACCESS_KEY": S["Airflow, rendered_fields"]}, "bash": "true"}
    config = str({"image_pull_secret": S["Airflow, executor_config"]})
    return {
        "dag_id": "dag",
        "dag_run_id": "run",
        "task_id": "task",
        "map_index": -1,
        "state": "success",
        "rendered_fields": fields,
        "trigger": {"id": 1, "kwargs": str({"password": S["Airflow, trigger"], "poll": 5})},
        "triggerer_job": {"password": S["Airflow, triggerer_job"]},
        "executor_config": config,
    }


def answer_b3os(request: httpx.Request) -> httpx.Response:
    record = b3os_server.make_record(
        1,
        requestPayload={"headers": {"authorization": S["B3OS, requestPayload"]}},
        responsePayload={"accessToken": S["B3OS, responsePayload"]},
        clientSafeMetadata={"webhookSecret": S["B3OS, clientSafeMetadata"]},
        statusReason=f"refused: {S['B3OS, responsePayload']}",
    )
    event = {
        "id": "event",
        "data": {"apiKey": S["B3OS, event"]},
        "title": f"pushed with {S['shape, B3OS, title']}",
        "message": f"mongodb+srv://u:{S['connection, B3OS, message']}@m said {S['B3OS, event']}",
    }
    server = b3os_server.B3osServer([record], events={str(record["id"]): [event]})
    return server.answer(request)


def answer_foundry(request: httpx.Request) -> httpx.Response:
    reason = f"no answer from postgresql://f:{S['connection, Foundry, failureReason']}@db"
    record = foundry_server.make_record(
        1,
        NOON,
        status="FAILED",
        failureReason=reason,
        callerToken=S["Foundry, unknown"],
    )
    return foundry_server.FoundryServer([record]).answer(request)


CODED_TOKEN = base64.b64encode(f"me:{TOKEN}".encode()).decode()


def refuse(request: httpx.Request) -> httpx.Response:
    quoted = f"{TOKEN}, {quote(TOKEN, safe='')}, {html.escape(TOKEN)} or {CODED_TOKEN}"
    message = f"api_key={S['refused, assignment']} is not known; got {quoted}"
    return httpx.Response(
        401, json={"message": message, "detail": f"Bearer {S['refused, bearer']}"}
    )


def fail(request: httpx.Request) -> httpx.Response:
    message = f"cannot reach redis://:{S['failing, connection']}@cache for {json.dumps(TOKEN)}"
    detail = f"not {quote(TOKEN, safe='')}"
    body = {"message": message, "detail": detail, "request": {"env": S["failing, not shown"]}}
    return httpx.Response(500, json=body)


def move(request: httpx.Request) -> httpx.Response:
    location = f"https://u:{S['moved, user']}@login.test/?token={S['moved, query']}&page={TOKEN}"
    location += f"&of={quote(TOKEN, safe='')}&to={CODED_TOKEN}"
    return httpx.Response(302, headers={"Location": location})


def answer_with_html(request: httpx.Request) -> httpx.Response:
    return httpx.Response(200, text=f"<html>{TOKEN} {S['HTML']}</html>")


HANDLERS: dict[str, Handler] = {
    "riza.test": answer_riza,
    "airflow.test": answer_airflow,
    "b3os.test": answer_b3os,
    "foundry.test": answer_foundry,
    "refused.test": refuse,
    "failing.test": fail,
    "moved.test": move,
    "html.test": answer_with_html,
}
