"""What the B3OS API shows of an execution at a time, in the words of its OpenAPI document."""

from etl.demo.b3os_catalogue import Record, make_request_payload, make_response_payload
from etl.demo.chance import iso_short, ulid
from etl.demo.history_b3os import (
    FINAL_STATUSES,
    METADATA,
    PERSON,
    REQUEST,
    RESPONSE,
    B3osHistory,
    Facts,
    Step,
    make_execution_id,
    make_run_id,
    reached_steps,
)

RUN_STATUSES = {
    "workflow_queued": "running",
    "workflow_running": "running",
    "workflow_waiting": "waiting",
    "workflow_succeeded": "success",
    "workflow_partial": "partial",
    "workflow_failed": "failure",
    "workflow_cancelled": "cancelled",
}
PAYMENT_STATUSES = {"awaiting_payment": "pending", "workflow_cancelled": "expired"}
TITLES = {
    "awaiting_payment": "Waiting for payment",
    "payment_confirmed": "Payment confirmed",
    "workflow_queued": "Queued",
    "workflow_running": "Run started",
    "workflow_waiting": "Waiting for approval",
    "workflow_succeeded": "Run succeeded",
    "workflow_partial": "Run ended with failed nodes",
    "workflow_failed": "Run failed",
    "workflow_cancelled": "Cancelled",
}
EVENT_GAP_MS = 50


def make_execution(history: B3osHistory, facts: Facts, now_ms: int) -> Record:
    """An ExternalExecution; fields without a value are left out."""
    steps = reached_steps(facts, now_ms)
    last = steps[-1]
    person = facts.numbers[PERSON]
    record: Record = {
        "id": make_execution_id(facts),
        "organizationId": history.organization_id,
        "workflowId": history.workflow_ids[facts.workflow.name],
        "status": last.status,
        "statusReason": last.reason,
        "externalRef": f"{facts.workflow.entity_type}-{person}",
        "idempotencyKey": f"{facts.workflow.name}:{facts.number}",
        "initiatedById": f"u_{person % 400}",
        "initiatedByType": "user" if facts.workflow.is_paid else "api_key",
        "sourceSystem": facts.workflow.source_system,
        "sourceEntityType": facts.workflow.entity_type,
        "sourceEntityId": f"{facts.workflow.entity_type}_{person}",
        "requestPayload": make_request_payload(
            facts.workflow, facts.numbers[REQUEST], history.vault
        ),
        "clientSafeMetadata": _make_metadata(facts),
        "createdAt": iso_short(facts.created_ms),
        "updatedAt": iso_short(last.at_ms),
    }
    return record | _make_payment(facts, steps) | _make_progress(facts, steps)


def make_events(history: B3osHistory, facts: Facts, now_ms: int) -> list[Record]:
    """The ExternalExecutionEvents of an execution so far, oldest first."""
    steps = reached_steps(facts, now_ms)
    drafts = [(step.at_ms, _event_of_step(step)) for step in steps]
    drafts += [draft for step in steps for draft in _events_of_nodes(facts, step, now_ms)]
    drafts.sort(key=lambda draft: draft[0])
    common = {
        "executionId": make_execution_id(facts),
        "workflowId": history.workflow_ids[facts.workflow.name],
        "organizationId": history.organization_id,
    }
    if _has_run(steps):
        common["runId"] = make_run_id(facts)
    return [
        {"id": f"evt_{ulid(at_ms, facts.number & 0xFFFFFF | place << 32)}"}
        | common
        | event
        | {"createdAt": iso_short(at_ms)}
        for place, (at_ms, event) in enumerate(drafts)
    ]


def make_run(history: B3osHistory, facts: Facts, now_ms: int) -> Record | None:
    """The RunListItem of index k: its execution's run or, where that never runs, a scheduled one.

    None while the run has not started.
    """
    steps = reached_steps(facts, now_ms)
    record: Record = {
        "id": make_run_id(facts),
        "workflowId": history.workflow_ids[facts.workflow.name],
        "workflowName": facts.workflow.name,
        "workflowVersion": 1 + facts.number // 5_000 % 40,
        "triggerNodeId": facts.workflow.nodes[0],
        "totalCu": (facts.numbers[METADATA] % 9_000) / 100,
        "isSimulation": False,
        "isDustTest": facts.numbers[METADATA] % 50 == 0,
    }
    if facts.run_started_ms is None:
        return record | _make_scheduled_run(facts)
    if facts.run_started_ms > now_ms:
        return None
    record |= {
        "status": RUN_STATUSES[steps[-1].status],
        "summary": steps[-1].reason or TITLES[steps[-1].status],
        "triggerSource": "execution",
        "triggeredBy": f"u_{facts.numbers[PERSON] % 400}",
    }
    return record | _make_times(steps)


def _make_scheduled_run(facts: Facts) -> Record:
    return {
        "status": "success",
        "summary": TITLES["workflow_succeeded"],
        "triggerSource": "schedule",
        "triggeredBy": "system",
        "startedAt": iso_short(facts.created_ms),
        "finishedAt": iso_short(facts.created_ms),
    }


def _make_metadata(facts: Facts) -> Record:
    number = facts.numbers[METADATA]
    return {"label": facts.workflow.name.replace("_", " "), "batch": number} if number & 3 else {}


def _make_payment(facts: Facts, steps: tuple[Step, ...]) -> Record:
    if not facts.workflow.is_paid:
        return {}
    is_paid = any(step.status == "payment_confirmed" for step in steps)
    number = facts.numbers[PERSON]
    return {
        "paymentStatus": "paid" if is_paid else PAYMENT_STATUSES[steps[-1].status],
        "checkoutSessionId": f"cs_{number:05}{facts.number % 100_000:05}",
        "orderId": f"ord_{number}",
    }


def _make_progress(facts: Facts, steps: tuple[Step, ...]) -> Record:
    if not _has_run(steps):
        finished = steps[-1].status in FINAL_STATUSES
        return {"finishedAt": iso_short(steps[-1].at_ms)} if finished else {}
    record: Record = {"runId": make_run_id(facts)} | _make_times(steps)
    if steps[-1].status in {"workflow_succeeded", "workflow_partial"}:
        record["responsePayload"] = make_response_payload(
            facts.workflow, steps[-1].status, facts.numbers[RESPONSE]
        )
    return record


def _make_times(steps: tuple[Step, ...]) -> Record:
    """Start of the last attempt, and its end once there is one."""
    queued = max((n for n, step in enumerate(steps) if step.status == "workflow_queued"), default=0)
    runs = [step for step in steps[queued:] if step.status == "workflow_running"]
    times = {"startedAt": iso_short(runs[0].at_ms)} if runs else {}
    if steps[-1].status in FINAL_STATUSES:
        times["finishedAt"] = iso_short(steps[-1].at_ms)
    return times


def _has_run(steps: tuple[Step, ...]) -> bool:
    return any(step.status == "workflow_queued" for step in steps)


def _event_of_step(step: Step) -> Record:
    return {
        "eventType": f"execution.{step.status}",
        "level": "error" if step.status == "workflow_failed" else "info",
        "title": TITLES[step.status],
        "message": step.reason,
        "data": {"status": step.status},
    }


def _events_of_nodes(facts: Facts, step: Step, now_ms: int) -> list[tuple[int, Record]]:
    if step.status != "workflow_running":
        return []
    drafts: list[tuple[int, Record]] = []
    for place, node in enumerate(facts.workflow.nodes[:2]):
        at_ms = step.at_ms + (place + 1) * EVENT_GAP_MS
        event = {
            "eventType": "node.started",
            "level": "debug",
            "nodeId": node,
            "title": f"Node {node} started",
            "message": "",
            "data": {"position": place},
        }
        if at_ms <= now_ms:
            drafts.append((at_ms, event))
    return drafts
