"""Executions as rows: `riza.executions` and its env, http_allow and files."""

from collections.abc import Sequence
from hashlib import sha256
from typing import Any

from etl.decode import read_json
from etl.records import Column, Flat, Table
from etl.sources.riza.records import (
    Allow,
    Auth,
    Credential,
    Details,
    EnvVar,
    Execution,
    File,
    Http,
    Limits,
    Request,
    Response,
)

ENV = Table(
    "riza.env",
    (
        Column("name", "VARCHAR"),
        Column("value", "VARCHAR", "secret", label="name"),
        Column("secret_id", "VARCHAR"),
    ),
)
HTTP_ALLOW = Table(
    "riza.http_allow",
    (
        # A host may come as a whole URL, and a user may be the key itself, with no password.
        Column("host", "VARCHAR", "address"),
        Column("basic_user_id", "VARCHAR", "secret", label="host"),
        Column("basic_password", "VARCHAR", "secret"),
        Column("basic_secret_id", "VARCHAR"),
        Column("bearer_token", "VARCHAR", "secret"),
        Column("bearer_secret_id", "VARCHAR"),
        Column("header_name", "VARCHAR"),
        Column("header_value", "VARCHAR", "secret"),
        Column("header_secret_id", "VARCHAR"),
        Column("query_key", "VARCHAR"),
        Column("query_value", "VARCHAR", "secret"),
        Column("query_secret_id", "VARCHAR"),
    ),
)
FILES = Table(
    "riza.files",
    (
        Column("path", "VARCHAR"),
        Column("size_bytes", "BIGINT"),
        Column("sha256", "VARCHAR"),
        Column("contents", "VARCHAR", "file"),
    ),
)
LANGUAGES = ("python", "javascript", "typescript", "ruby", "php")
EXECUTIONS = Table(
    "riza.executions",
    (
        Column("id", "VARCHAR"),
        Column("started_at", "TIMESTAMPTZ"),
        Column("language", "VARCHAR", known=LANGUAGES),
        Column("duration_ms", "BIGINT"),
        Column("exit_code", "BIGINT"),
        Column("type", "VARCHAR", known=("tool", "function", "script")),
        Column("tool_id", "VARCHAR"),
        Column("revision_id", "VARCHAR"),
        Column("runtime_revision_id", "VARCHAR"),
        Column("request_language", "VARCHAR", known=LANGUAGES),
        Column("code", "VARCHAR", "text"),
        Column("args", "VARCHAR[]", "text"),
        Column("stdin", "VARCHAR", "text"),
        Column("input", "JSON", "json"),
        Column("has_http", "BOOLEAN"),
        Column("env_form", "VARCHAR"),
        Column("execution_timeout_s", "BIGINT"),
        Column("memory_size_mib", "BIGINT"),
        Column("output", "JSON", "json"),
        Column("output_status", "VARCHAR", known=("error", "json_serialization_error", "valid")),
        Column("response_id", "VARCHAR"),
        Column("response_exit_code", "BIGINT"),
        Column("response_duration_ms", "BIGINT"),
        Column("stdout", "VARCHAR", "text"),
        Column("stderr", "VARCHAR", "text"),
    ),
    key=("id",),
    time="started_at",
    is_time_fixed=True,
    whole="type",
    children=(ENV, HTTP_ALLOW, FILES),
)
TABLES = (EXECUTIONS,)

_NO_REQUEST = Request()
_NO_RESPONSE = Response()
_NO_DETAILS = Details()
_NO_LIMITS = Limits()
_NO_CREDENTIAL = Credential()
_NO_AUTH = Auth()


def flatten(record: Execution) -> Flat:
    """The rows of one execution: `riza.executions` and its env, http_allow and files."""
    details = record.details or _NO_DETAILS
    request = details.request or _NO_REQUEST
    response = details.response or _NO_RESPONSE
    result = response.execution or response
    limits = request.limits or _NO_LIMITS
    row = (
        record.id,
        record.started_at,
        record.language,
        record.duration,
        record.exit_code,
        details.type,
        details.tool_id,
        request.revision_id,
        request.runtime_revision_id,
        request.language,
        request.code,
        request.args,
        request.stdin,
        read_json(request.input),
        request.http is not None,
        _name_env_form(request.env),
        limits.execution_timeout,
        limits.memory_size,
        read_json(response.output),
        response.output_status,
        result.id,
        result.exit_code,
        result.duration,
        result.stdout,
        result.stderr,
    )
    if not (request.env or request.http or request.files):
        return Flat(row)
    files = [_flatten_file(file) for file in request.files or ()]
    return Flat(row, (_flatten_env(request.env), _flatten_allow(request.http), files))


def _flatten_file(file: File) -> tuple[Any, ...]:
    """A file with its size and SHA-256, which stay where its contents do not."""
    if file.contents is None:
        return (file.path, None, None, None)
    contents = file.contents.encode()
    return (file.path, len(contents), sha256(contents).hexdigest(), file.contents)


def _name_env_form(env: Sequence[EnvVar] | dict[str, str | None] | None) -> str | None:
    if env is None:
        return None
    return "map" if isinstance(env, dict) else "list"


def _flatten_env(env: list[EnvVar] | dict[str, str | None] | None) -> list[tuple[Any, ...]]:
    if isinstance(env, dict):
        return [(name, value, None) for name, value in env.items()]
    return [(entry.name, entry.value, entry.secret_id) for entry in env or ()]


def _flatten_allow(http: Http | None) -> list[tuple[Any, ...]]:
    return [_flatten_host(allow) for allow in (http.allow if http else None) or ()]


def _flatten_host(allow: Allow) -> tuple[Any, ...]:
    auth = allow.auth or _NO_AUTH
    basic = auth.basic or _NO_CREDENTIAL
    bearer = auth.bearer or _NO_CREDENTIAL
    header = auth.header or _NO_CREDENTIAL
    query = auth.query or _NO_CREDENTIAL
    return (
        allow.host,
        basic.user_id,
        basic.password,
        basic.secret_id,
        bearer.token,
        bearer.secret_id,
        header.name,
        header.value,
        header.secret_id,
        query.key,
        query.value,
        query.secret_id,
    )
