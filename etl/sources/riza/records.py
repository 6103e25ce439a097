"""What the API sends: one struct per object of its OpenAPI document."""

import msgspec
from msgspec import UNSET, Raw, UnsetType

from etl.decode import Int64, Time, absent, check_time


class Credential(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """`basic`, `bearer`, `header` and `query` in one: which fields are set tells which it is."""

    user_id: str | None = None
    password: str | None = None
    token: str | None = None
    name: str | None = None
    key: str | None = None
    value: str | None = None
    secret_id: str | None = None


class Auth(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    basic: Credential | None = None
    bearer: Credential | None = None
    header: Credential | None = None
    query: Credential | None = None


class Allow(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    host: str | None = None
    auth: Auth | None = None


class Http(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    allow: list[Allow] | None = None


class EnvVar(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    name: str
    value: str | None = None
    secret_id: str | None = None


class File(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    path: str | None = None
    contents: str | None = None


class Limits(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    execution_timeout: Int64 | None = None
    memory_size: Int64 | None = None


class Request(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """The requests of tool, function and script in one; their union would decode slower."""

    language: str | None = None
    code: str | None = None
    env: list[EnvVar] | dict[str, str | None] | None = None
    files: list[File] | None = None
    http: Http | None = None
    input: Raw = msgspec.field(default_factory=absent)
    limits: Limits | None = None
    revision_id: str | None = None
    runtime_revision_id: str | None = None
    args: list[str] | None = None
    stdin: str | None = None


class Result(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    id: str | None = None
    exit_code: Int64 | None = None
    stdout: str | None = None
    stderr: str | None = None
    duration: Int64 | None = None


class Response(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A script's response is its result; tools and functions have it in `execution`."""

    output: Raw = msgspec.field(default_factory=absent)
    output_status: str | None = None
    execution: Result | None = None
    id: str | None = None
    exit_code: Int64 | None = None
    stdout: str | None = None
    stderr: str | None = None
    duration: Int64 | None = None


class Details(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    type: str | None = None
    tool_id: str | None = None
    request: Request | None = None
    response: Response | None = None


class Execution(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    id: str
    started_at: Time
    language: str | None = None
    duration: Int64 | None = None
    exit_code: Int64 | None = None
    details: Details | UnsetType | None = UNSET

    def __post_init__(self) -> None:
        check_time("started_at", self.started_at)
