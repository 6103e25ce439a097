"""The execution history of a B3OS organization: made up, the same for all, moved by the clock.

An execution goes through steps at times that are fixed from the start: payment, queue, run,
approval, end, and sometimes a retry that opens it again. What the API shows is the last step
reached by `now`.
"""

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import NamedTuple

from etl.demo.b3os_catalogue import FAILURE_REASONS, WORKFLOWS, Workflow, make_vault
from etl.demo.chance import (
    DRAW_LIMIT,
    Draws,
    draw,
    log_normal,
    make_key,
    make_table,
    pick,
    read_base32,
    ulid,
)
from etl.demo.grid import DEFAULT_SPAN, EPOCH_MS, Grid, Span, find_visible, is_incident, make_grid

SEED = 20_250_301
MINUTE_MS = 60_000
HOUR_MS = 3_600_000
CHECKOUT_EXPIRY_MS = 30 * MINUTE_MS
PAYMENT_MAX_MS = 25 * MINUTE_MS
QUEUE_MAX_MS = 10 * MINUTE_MS
RUN_MAX_MS = 30 * MINUTE_MS
WAIT_MAX_MS = 20 * HOUR_MS
RETRY_DELAY_MAX_MS = 12 * HOUR_MS
# No run starts later than this after its execution was made.
RUN_START_MAX_MS = PAYMENT_MAX_MS + QUEUE_MAX_MS + 5 * MINUTE_MS

UNPAID_SHARE = int(0.05 * DRAW_LIMIT)
CANCEL_SHARE = int(0.012 * DRAW_LIMIT)
RETRY_SHARE = int(0.35 * DRAW_LIMIT)
RETRY_FAILURE_SHARE = int(0.3 * DRAW_LIMIT)
INCIDENT_FAILURE_RATE = 0.6
INCIDENT_QUEUE_FACTOR = 40

FINAL_STATUSES = frozenset(
    {"workflow_succeeded", "workflow_partial", "workflow_failed", "workflow_cancelled"}
)

(JITTER, WORKFLOW, PAYMENT, PAYMENT_TIME, QUEUE, RUN, OUTCOME, WAITS, WAIT, CANCELS, RETRIES,
 RETRY_DELAY, RETRY_RUN, REASON, PERSON, METADATA) = range(16)  # fmt: skip
REQUEST = slice(16, 20)
RESPONSE = slice(20, 24)
ID_BITS = slice(24, 28)
RUN_BITS = slice(28, 32)


class Step(NamedTuple):
    """From `at_ms` on the execution has this status."""

    at_ms: int
    status: str
    reason: str = ""


class Facts(NamedTuple):
    """Everything that is fixed about an execution, its future included."""

    number: int
    created_ms: int
    workflow: Workflow
    steps: tuple[Step, ...]
    numbers: Draws

    @property
    def run_started_ms(self) -> int | None:
        """When its run starts first; None for an execution that is never paid."""
        return next((step.at_ms for step in self.steps if step.status == "workflow_running"), None)


@dataclass(frozen=True)
class B3osHistory:
    """Every execution by index; pure."""

    span: Span = DEFAULT_SPAN
    seed: int = SEED

    @cached_property
    def _key(self) -> bytes:
        return make_key(self.seed, "b3os")

    @cached_property
    def _grid(self) -> Grid:
        return make_grid(self.span)

    @cached_property
    def _workflows(self) -> tuple[Workflow, ...]:
        return make_table({workflow: workflow.weight for workflow in WORKFLOWS})

    @cached_property
    def vault(self) -> dict[str, str]:
        """Each credential of the organization by label: none of them may reach a store in clear."""
        return make_vault(self.seed)

    @cached_property
    def organization_id(self) -> str:
        """The organization that all executions belong to."""
        return f"org_{ulid(EPOCH_MS, _join_bits(draw(self._key, -1)[:4]))}"

    @cached_property
    def workflow_ids(self) -> dict[str, str]:
        """The id of each workflow by its name."""
        return {
            workflow.name: "wf_" + ulid(EPOCH_MS, _join_bits(draw(self._key, -2 - place)[:4]))
            for place, workflow in enumerate(WORKFLOWS)
        }

    def visible(self, now: datetime) -> range:
        """The indexes that the API lists at `now`, oldest first."""
        return find_visible(self.span, self.span.executions, now, self.index_at)

    def index_at(self, time_ms: int) -> int:
        """The last execution that was made at or before a time."""
        return self._grid.index_at(time_ms, self.created_ms)

    def created_ms(self, index: int) -> int:
        """When an execution was made, in milliseconds since 1970; never falls with the index."""
        return self._grid.time_ms(index, draw(self._key, index)[JITTER])

    def facts(self, index: int) -> Facts:
        """Workflow, times and fate of an execution."""
        numbers = draw(self._key, index)
        created_ms = self._grid.time_ms(index, numbers[JITTER])
        workflow = pick(self._workflows, numbers[WORKFLOW])
        has_incident = is_incident(self.seed, created_ms)
        steps = _make_steps(workflow, numbers, created_ms, has_incident)
        return Facts(index, created_ms, workflow, tuple(steps), numbers)

    def find_index(self, execution_id: str) -> int | None:
        """The index of an id, or None for an id that this history never gives."""
        created_ms = read_base32(execution_id.removeprefix("exec_")[:10])
        if created_ms is None:
            return None
        index = self.index_at(created_ms)
        while self.created_ms(index) == created_ms:
            if make_execution_id(self.facts(index)) == execution_id:
                return index
            index -= 1
        return None


def make_execution_id(facts: Facts) -> str:
    """`exec_` and a ULID."""
    return f"exec_{ulid(facts.created_ms, _join_bits(facts.numbers[ID_BITS]))}"


def make_run_id(facts: Facts) -> str:
    """`run_` and a ULID."""
    return f"run_{ulid(facts.created_ms, _join_bits(facts.numbers[RUN_BITS]))}"


def reached_steps(facts: Facts, now_ms: int) -> tuple[Step, ...]:
    """The steps up to `now`; the first one is always among them."""
    count = sum(step.at_ms <= now_ms for step in facts.steps)
    return facts.steps[: max(1, count)]


def next_change_ms(facts: Facts, now_ms: int) -> int | None:
    """When the next step comes, or None if none does."""
    return next((step.at_ms for step in facts.steps if step.at_ms > now_ms), None)


def _join_bits(numbers: Draws) -> int:
    a, b, c, d = numbers
    return a << 64 | b << 48 | c << 32 | d << 16 | a ^ d


def _make_steps(
    workflow: Workflow, numbers: Draws, created_ms: int, has_incident: bool
) -> list[Step]:
    steps, at_ms = [], created_ms
    if workflow.is_paid:
        steps.append(Step(at_ms, "awaiting_payment"))
        if numbers[PAYMENT] < UNPAID_SHARE:
            end_ms = at_ms + CHECKOUT_EXPIRY_MS
            return [*steps, Step(end_ms, "workflow_cancelled", "checkout session expired")]
        at_ms += _cap(log_normal(45_000, 1.1, numbers[PAYMENT_TIME]), PAYMENT_MAX_MS)
        steps.append(Step(at_ms, "payment_confirmed"))
        at_ms += 200 + (numbers[PAYMENT] >> 5)
    steps.append(Step(at_ms, "workflow_queued"))
    factor = INCIDENT_QUEUE_FACTOR if has_incident else 1
    at_ms += _cap(factor * log_normal(1_800, 1.0, numbers[QUEUE]), QUEUE_MAX_MS)
    return steps + _make_run(workflow, numbers, at_ms, has_incident)


def _make_run(workflow: Workflow, numbers: Draws, at_ms: int, has_incident: bool) -> list[Step]:
    steps = [Step(at_ms, "workflow_running")]
    run_ms = _cap(log_normal(workflow.run_ms, 0.7, numbers[RUN]), RUN_MAX_MS)
    if numbers[CANCELS] < CANCEL_SHARE:
        return [*steps, Step(at_ms + run_ms, "workflow_cancelled", "cancelled by operator")]
    if numbers[WAITS] < workflow.wait_rate * DRAW_LIMIT:
        at_ms += run_ms // 2 + 1
        steps.append(Step(at_ms, "workflow_waiting", "waiting for approval"))
        at_ms += _cap(log_normal(25 * MINUTE_MS, 1.2, numbers[WAIT]), WAIT_MAX_MS)
        steps.append(Step(at_ms, "workflow_running"))
    status = _find_end(workflow, numbers, has_incident)
    at_ms += run_ms
    steps.append(Step(at_ms, status, _make_reason(workflow, status, numbers)))
    if status == "workflow_failed" and numbers[RETRIES] < RETRY_SHARE:
        steps += _make_retry(workflow, numbers, at_ms)
    return steps


def _make_retry(workflow: Workflow, numbers: Draws, at_ms: int) -> list[Step]:
    queued_ms = at_ms + _cap(
        log_normal(12 * MINUTE_MS, 1.3, numbers[RETRY_DELAY]), RETRY_DELAY_MAX_MS
    )
    started_ms = queued_ms + 400 + (numbers[RETRY_DELAY] >> 4)
    run_ms = _cap(log_normal(workflow.run_ms, 0.7, numbers[RETRY_RUN]), RUN_MAX_MS)
    fails = numbers[RETRIES] < RETRY_SHARE * RETRY_FAILURE_SHARE // DRAW_LIMIT
    status = "workflow_failed" if fails else "workflow_succeeded"
    return [
        Step(queued_ms, "workflow_queued", "retried from the failed node"),
        Step(started_ms, "workflow_running"),
        Step(started_ms + run_ms, status, _make_reason(workflow, status, numbers)),
    ]


def _find_end(workflow: Workflow, numbers: Draws, has_incident: bool) -> str:
    failure_rate = INCIDENT_FAILURE_RATE if has_incident else workflow.failure_rate
    place = numbers[OUTCOME] / DRAW_LIMIT
    if place < failure_rate:
        return "workflow_failed"
    return (
        "workflow_partial" if place < failure_rate + workflow.partial_rate else "workflow_succeeded"
    )


def _make_reason(workflow: Workflow, status: str, numbers: Draws) -> str:
    if status == "workflow_partial":
        return f"1 of {len(workflow.nodes)} nodes failed"
    if status != "workflow_failed":
        return ""
    node = workflow.nodes[numbers[REASON] % len(workflow.nodes)]
    return FAILURE_REASONS[numbers[REASON] * len(FAILURE_REASONS) >> 16].format(node=node)


def _cap(value_ms: float, limit_ms: int) -> int:
    return max(1, min(int(value_ms), limit_ms))
