"""B3OS statistics: totals per status, counted from the executions themselves."""

from collections import Counter
from collections.abc import Iterable

from etl.demo.b3os_catalogue import Record
from etl.demo.b3os_records import make_execution
from etl.demo.chance import DAY_MS, iso_short
from etl.demo.history_b3os import (
    FINAL_STATUSES,
    B3osHistory,
    Facts,
    Step,
    make_execution_id,
    reached_steps,
)

HOUR_MS = 3_600_000
RECENT_FAILURES_MAX = 10
COUNTED = {
    "workflow_succeeded": "succeeded",
    "workflow_partial": "partial",
    "workflow_failed": "failed",
    "workflow_cancelled": "cancelled",
}


def make_stats(
    history: B3osHistory, executions: Iterable[Facts], now_ms: int, granularity: str
) -> Record:
    """ExecutionStatsData over executions, given oldest first."""
    bucket_ms = DAY_MS if granularity == "daily" else HOUR_MS
    statuses: Counter[str] = Counter()
    systems: dict[str, Counter[str]] = {}
    buckets: dict[int, Counter[str]] = {}
    durations_ms: list[int] = []
    failed: list[Facts] = []
    for facts in executions:
        steps = reached_steps(facts, now_ms)
        status = steps[-1].status
        statuses[status] += 1
        systems.setdefault(facts.workflow.source_system, Counter())[status] += 1
        buckets.setdefault(facts.created_ms // bucket_ms * bucket_ms, Counter())[status] += 1
        durations_ms += _durations_ms(steps)
        if status == "workflow_failed":
            failed = [*failed[1 - RECENT_FAILURES_MAX :], facts]
    return {
        "granularity": granularity,
        "recentFailures": [_make_failure(history, facts, now_ms) for facts in reversed(failed)],
        "sourceSystems": [
            {"sourceSystem": system, **_make_counts(counts)} for system, counts in systems.items()
        ],
        "statuses": [{"status": status, "count": n} for status, n in sorted(statuses.items())],
        "summary": _make_summary(statuses, durations_ms),
        "timeSeries": [
            {"bucketStart": iso_short(start_ms), **_make_counts(counts)}
            for start_ms, counts in sorted(buckets.items())
        ],
    }


def _durations_ms(steps: tuple[Step, ...]) -> list[int]:
    """From the start of the last attempt to the end; nothing for what has not run to an end."""
    if steps[-1].status not in FINAL_STATUSES:
        return []
    queued = max((n for n, step in enumerate(steps) if step.status == "workflow_queued"), default=0)
    starts = [step.at_ms for step in steps[queued:] if step.status == "workflow_running"]
    return [steps[-1].at_ms - starts[0]] if starts else []


def _make_counts(statuses: Counter[str]) -> Record:
    counts = {name: statuses[status] for status, name in COUNTED.items()}
    return {"total": statuses.total(), **counts}


def _make_summary(statuses: Counter[str], durations_ms: list[int]) -> Record:
    counts = _make_counts(statuses)
    terminal = sum(counts[name] for name in COUNTED.values())
    return counts | {
        "terminal": terminal,
        "inProgress": counts["total"] - terminal,
        "successRate": counts["succeeded"] / terminal if terminal else 0.0,
        "averageDurationMs": sum(durations_ms) / len(durations_ms) if durations_ms else 0.0,
    }


def _make_failure(history: B3osHistory, facts: Facts, now_ms: int) -> Record:
    execution = make_execution(history, facts, now_ms)
    names = ("runId", "workflowId", "status", "statusReason", "sourceSystem", "createdAt")
    record = {name: execution[name] for name in (*names, "finishedAt")}
    return {"executionId": make_execution_id(facts)} | record
