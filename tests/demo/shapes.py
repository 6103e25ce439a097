"""The field tables of the three APIs: a field too many, missing or of another type is an error.

Riza: OpenAPI 0.1.4. Foundry: "List Executions Resource", API v2. B3OS: OpenAPI of the workflow API.
"""

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec


class Shape(msgspec.Struct, forbid_unknown_fields=True):
    pass


class EnvVar(Shape):
    name: str
    secret_id: str | msgspec.UnsetType = msgspec.UNSET
    value: str | msgspec.UnsetType = msgspec.UNSET


class Basic(Shape):
    user_id: str | msgspec.UnsetType = msgspec.UNSET
    password: str | msgspec.UnsetType = msgspec.UNSET


class ToolBasic(Basic):
    secret_id: str | msgspec.UnsetType = msgspec.UNSET


class Bearer(Shape):
    token: str | msgspec.UnsetType = msgspec.UNSET


class ToolBearer(Bearer):
    secret_id: str | msgspec.UnsetType = msgspec.UNSET


class Query(Shape):
    key: str | msgspec.UnsetType = msgspec.UNSET
    value: str | msgspec.UnsetType = msgspec.UNSET


class ToolQuery(Query):
    secret_id: str | msgspec.UnsetType = msgspec.UNSET


class Header(Shape):
    name: str | msgspec.UnsetType = msgspec.UNSET
    value: str | msgspec.UnsetType = msgspec.UNSET


class Auth(Shape):
    basic: Basic | msgspec.UnsetType = msgspec.UNSET
    bearer: Bearer | msgspec.UnsetType = msgspec.UNSET
    header: Header | msgspec.UnsetType = msgspec.UNSET
    query: Query | msgspec.UnsetType = msgspec.UNSET


class ToolAuth(Shape):
    basic: ToolBasic | msgspec.UnsetType = msgspec.UNSET
    bearer: ToolBearer | msgspec.UnsetType = msgspec.UNSET
    query: ToolQuery | msgspec.UnsetType = msgspec.UNSET


class Allow(Shape):
    auth: Auth | msgspec.UnsetType = msgspec.UNSET
    host: str | msgspec.UnsetType = msgspec.UNSET


class ToolAllow(Shape):
    auth: ToolAuth | msgspec.UnsetType = msgspec.UNSET
    host: str | msgspec.UnsetType = msgspec.UNSET


class Http(Shape):
    allow: list[Allow] | msgspec.UnsetType = msgspec.UNSET


class ToolHttp(Shape):
    allow: list[ToolAllow] | msgspec.UnsetType = msgspec.UNSET


class File(Shape):
    contents: str | msgspec.UnsetType = msgspec.UNSET
    path: str | msgspec.UnsetType = msgspec.UNSET


class Limits(Shape):
    execution_timeout: int | msgspec.UnsetType = msgspec.UNSET
    memory_size: int | msgspec.UnsetType = msgspec.UNSET


class ToolRequest(Shape):
    env: list[EnvVar] | msgspec.UnsetType = msgspec.UNSET
    http: ToolHttp | msgspec.UnsetType = msgspec.UNSET
    input: Any = msgspec.UNSET
    revision_id: str | msgspec.UnsetType = msgspec.UNSET


class FunctionRequest(Shape):
    language: Literal["python", "javascript", "typescript"]
    code: str
    env: dict[str, str] | msgspec.UnsetType = msgspec.UNSET
    files: list[File] | msgspec.UnsetType = msgspec.UNSET
    http: Http | msgspec.UnsetType = msgspec.UNSET
    input: Any = msgspec.UNSET
    limits: Limits | msgspec.UnsetType = msgspec.UNSET
    runtime_revision_id: str | msgspec.UnsetType = msgspec.UNSET


class ScriptRequest(Shape):
    language: Literal["python", "javascript", "typescript", "ruby", "php"]
    code: str
    args: list[str] | msgspec.UnsetType = msgspec.UNSET
    env: dict[str, str] | msgspec.UnsetType = msgspec.UNSET
    files: list[File] | msgspec.UnsetType = msgspec.UNSET
    http: Http | msgspec.UnsetType = msgspec.UNSET
    limits: Limits | msgspec.UnsetType = msgspec.UNSET
    runtime_revision_id: str | msgspec.UnsetType = msgspec.UNSET
    stdin: str | msgspec.UnsetType = msgspec.UNSET


class Result(Shape):
    duration: int
    exit_code: int
    id: str
    stderr: str
    stdout: str


class OutputResponse(Shape):
    execution: Result
    output: Any
    output_status: Literal["error", "json_serialization_error", "valid"]


class ToolDetails(Shape, tag_field="type", tag="tool"):
    tool_id: str
    request: ToolRequest
    response: OutputResponse


class FunctionDetails(Shape, tag_field="type", tag="function"):
    request: FunctionRequest
    response: OutputResponse


class ScriptDetails(Shape, tag_field="type", tag="script"):
    request: ScriptRequest
    response: Result


class RizaExecution(Shape):
    id: Annotated[str, msgspec.Meta(pattern="^[0-9A-HJKMNP-TV-Z]{26}$")]
    language: Literal["python", "javascript", "typescript", "ruby", "php"]
    duration: int
    exit_code: int
    started_at: Annotated[datetime, msgspec.Meta(tz=True)]
    details: ToolDetails | FunctionDetails | ScriptDetails | msgspec.UnsetType = msgspec.UNSET


class RizaPage(Shape):
    data: list[RizaExecution]


class RizaStatus(Shape):
    code: int
    message: str


class Duration(Shape):
    value: int
    unit: Literal["MILLISECONDS", "SECONDS", "MINUTES", "HOURS", "DAYS", "WEEKS", "MONTHS", "YEARS"]


class FoundryExecution(Shape, rename="camel"):
    trace_owning_rid: str
    foundry_trace_id: str
    resource_rid: str
    resource_version: str
    status: Literal["SUCCEEDED", "FAILED"]
    start_time: Annotated[datetime, msgspec.Meta(tz=True)]
    duration: Duration
    failure_reason: str | msgspec.UnsetType = msgspec.UNSET
    caller_rid: str | msgspec.UnsetType = msgspec.UNSET


class FoundryPage(Shape, rename="camel"):
    data: list[FoundryExecution] | msgspec.UnsetType = msgspec.UNSET
    next_page_token: (
        Annotated[str, msgspec.Meta(pattern="^v1\\.[A-Za-z0-9_-]+$")] | msgspec.UnsetType
    ) = msgspec.UNSET


class FoundryError(Shape, rename="camel"):
    error_code: str
    error_name: str
    error_instance_id: str
    parameters: dict[str, Any]
    error_description: str | msgspec.UnsetType = msgspec.UNSET


B3osStatus = Literal[
    "awaiting_payment",
    "payment_confirmed",
    "workflow_queued",
    "workflow_running",
    "workflow_waiting",
    "workflow_succeeded",
    "workflow_partial",
    "workflow_failed",
    "workflow_cancelled",
]
Text = str | msgspec.UnsetType
Time = Annotated[datetime, msgspec.Meta(tz=True)] | msgspec.UnsetType
Payload = dict[str, Any] | msgspec.UnsetType


class B3osExecution(Shape, rename="camel"):
    id: str
    status: B3osStatus
    created_at: Annotated[datetime, msgspec.Meta(tz=True)]
    updated_at: Annotated[datetime, msgspec.Meta(tz=True)]
    organization_id: Text = msgspec.UNSET
    workflow_id: Text = msgspec.UNSET
    run_id: Text = msgspec.UNSET
    status_reason: Text = msgspec.UNSET
    payment_status: Text = msgspec.UNSET
    checkout_session_id: Text = msgspec.UNSET
    order_id: Text = msgspec.UNSET
    external_ref: Text = msgspec.UNSET
    idempotency_key: Text = msgspec.UNSET
    initiated_by_id: Text = msgspec.UNSET
    initiated_by_type: Text = msgspec.UNSET
    source_system: Text = msgspec.UNSET
    source_entity_type: Text = msgspec.UNSET
    source_entity_id: Text = msgspec.UNSET
    request_payload: Payload = msgspec.UNSET
    response_payload: Payload = msgspec.UNSET
    client_safe_metadata: Payload = msgspec.UNSET
    started_at: Time = msgspec.UNSET
    finished_at: Time = msgspec.UNSET


class B3osEvent(Shape, rename="camel"):
    id: str
    execution_id: str
    workflow_id: str
    organization_id: str
    event_type: str
    level: str
    title: str
    message: str
    data: dict[str, Any]
    created_at: Annotated[datetime, msgspec.Meta(tz=True)]
    run_id: Text = msgspec.UNSET
    node_id: Text = msgspec.UNSET
    request_id: Text = msgspec.UNSET


class B3osRun(Shape, rename="camel"):
    id: str
    workflow_id: str
    workflow_name: str
    workflow_version: int
    status: Literal["running", "waiting", "success", "partial", "failure", "cancelled"]
    summary: str
    trigger_source: str
    triggered_by: str
    trigger_node_id: str
    total_cu: float
    is_simulation: bool
    is_dust_test: bool
    started_at: Annotated[datetime, msgspec.Meta(tz=True)]
    finished_at: Time = msgspec.UNSET
    source_run_id: Text = msgspec.UNSET


class ExecutionsData(Shape, rename="camel"):
    has_more: bool
    items: list[B3osExecution]
    limit: int
    offset: int


class RunsData(Shape, rename="camel"):
    has_more: bool
    items: list[B3osRun]
    limit: int
    offset: int


class OneData(Shape):
    execution: B3osExecution
    events: list[B3osEvent]
    message: str


class ExecutionsEnvelope(Shape, rename="camel"):
    code: Literal[200]
    message: str
    request_id: str
    data: ExecutionsData


class RunsEnvelope(Shape, rename="camel"):
    code: Literal[200]
    message: str
    request_id: str
    data: RunsData


class OneEnvelope(Shape, rename="camel"):
    code: Literal[200]
    message: str
    request_id: str
    data: OneData


class EventsEnvelope(Shape, rename="camel"):
    code: Literal[200]
    message: str
    request_id: str
    data: list[B3osEvent]


class B3osError(Shape, rename="camel"):
    code: int
    message: str
    request_id: str
    details: list[Any]
