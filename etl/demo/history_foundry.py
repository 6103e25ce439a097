"""The execution history of four Foundry resources, made up and always the same.

Field names and rules are those of "List Executions Resource" (API v2, preview): there is no id, a
duration is a number and a unit, and an execution can only be seen once it has completed.
"""

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, NamedTuple

from etl.demo.chance import (
    DAY_MS,
    DRAW_LIMIT,
    Draws,
    draw,
    iso_ms,
    log_normal,
    make_key,
    make_table,
    pick,
    uuid_text,
)
from etl.demo.grid import DEFAULT_SPAN, EPOCH_MS, Grid, Span, find_visible, is_incident, make_grid

SEED = 20_250_301
Record = dict[str, Any]

UNIT_MS = {
    "MILLISECONDS": 1,
    "SECONDS": 1_000,
    "MINUTES": 60_000,
    "HOURS": 3_600_000,
    "DAYS": DAY_MS,
}
# Nothing runs longer, so a sync that looks back one day misses nothing.
DURATION_MAX_MS = 14 * UNIT_MS["HOURS"]
RELEASE_MS = 9 * DAY_MS
BAD_RELEASE_SHARE = int(0.12 * DRAW_LIMIT)
INCIDENT_FAILURE_RATE = 0.5
MISLEADING_REASON_SHARE = int(0.004 * DRAW_LIMIT)
CALLER_SHARE = int(0.85 * DRAW_LIMIT)
USER_SHARE = int(0.7 * DRAW_LIMIT)

(JITTER, FAILS, REASON, DURATION, UNIT, CALLER, USER, OWNER) = range(8)
TRACE = slice(8, 16)

REASONS = make_table(
    {
        "invalid_parameter": 30,
        "timeout": 25,
        "user_facing_error": 20,
        "internal": 12,
        "out_of_memory": 8,
        "permission_denied": 5,
    }
)


@dataclass(frozen=True, slots=True)
class Resource:
    """One resource: its share of all executions, median duration and the units it reports in."""

    name: str
    rid_prefix: str
    share: float
    duration_ms: float
    sigma: float
    failure_rate: float
    units: tuple[tuple[str, float], ...]


RESOURCES = (
    Resource(
        "score_risk", "ri.function-registry.main.function.", 0.55, 900, 0.9, 0.035,
        (("MILLISECONDS", 9), ("SECONDS", 1)),
    ),
    Resource(
        "route_alerts", "ri.object-sentinel.main.monitor.", 0.27, 14_000, 0.8, 0.06,
        (("SECONDS", 8), ("MILLISECONDS", 2)),
    ),
    Resource(
        "match_suppliers", "ri.function-registry.main.function.", 0.15, 240_000, 1.0, 0.04,
        (("MINUTES", 5), ("SECONDS", 5)),
    ),
    Resource(
        "plan_capacity", "ri.function-registry.main.function.", 0.03, 9_000_000, 0.6, 0.12,
        (("HOURS", 6), ("MINUTES", 4)),
    ),
)  # fmt: skip


class Facts(NamedTuple):
    """What decides the rest of an execution."""

    started_ms: int
    unit: str
    duration: int
    status: str
    numbers: Draws

    @property
    def completed_ms(self) -> int:
        return self.started_ms + self.duration * UNIT_MS[self.unit]


@dataclass(frozen=True)
class FoundryStream:
    """The executions of one resource by index; pure."""

    resource: Resource
    span: Span = DEFAULT_SPAN
    seed: int = SEED

    @cached_property
    def _key(self) -> bytes:
        return make_key(self.seed, f"foundry/{self.resource.name}")

    @cached_property
    def _grid(self) -> Grid:
        return make_grid(self.span, self.resource.share)

    @cached_property
    def _units(self) -> tuple[str, ...]:
        return make_table(dict(self.resource.units))

    @cached_property
    def rid(self) -> str:
        """The resource's identifier, as it stands in the path of a request."""
        return self.resource.rid_prefix + uuid_text(draw(self._key, -1)[:8])

    @cached_property
    def _callers(self) -> tuple[str, ...]:
        prefixes = (
            "ri.workshop.main.module.",
            "ri.slate.main.document.",
            "ri.carbon.main.workspace.",
        )
        return tuple(
            prefix + uuid_text(draw(self._key, -2 - place)[:8])
            for place, prefix in enumerate(prefixes)
        )

    def visible(self, now: datetime) -> range:
        """The indexes started by `now`, oldest first; the list shows those that have completed."""
        count = max(1, round(self.span.executions * self.resource.share))
        return find_visible(self.span, count, now, self.index_at)

    def index_at(self, time_ms: int) -> int:
        """The last execution that started at or before a time."""
        return self._grid.index_at(time_ms, self.started_ms)

    def started_ms(self, index: int) -> int:
        """When an execution started, in milliseconds since 1970; never falls with the index."""
        return self._grid.time_ms(index, draw(self._key, index)[JITTER])

    def completed_ms(self, index: int) -> int:
        """When an execution completed: from then on the list shows it."""
        return self.facts(index).completed_ms

    def facts(self, index: int) -> Facts:
        """Start, duration and status of an execution."""
        numbers = draw(self._key, index)
        started_ms = self._grid.time_ms(index, numbers[JITTER])
        unit = pick(self._units, numbers[UNIT])
        wanted_ms = log_normal(self.resource.duration_ms, self.resource.sigma, numbers[DURATION])
        duration = max(1, int(min(wanted_ms, DURATION_MAX_MS)) // UNIT_MS[unit])
        fails = numbers[FAILS] < self._failure_rate(started_ms) * DRAW_LIMIT
        return Facts(started_ms, unit, duration, "FAILED" if fails else "SUCCEEDED", numbers)

    def execution(self, index: int) -> Record:
        """An execution as the list shows it."""
        facts = self.facts(index)
        numbers = facts.numbers
        caller = self._callers[numbers[CALLER] % len(self._callers)]
        record: Record = {
            "duration": {"unit": facts.unit, "value": facts.duration},
            "foundryTraceId": uuid_text(numbers[TRACE]),
            "resourceVersion": _version_text(facts.started_ms),
            "traceOwningRid": caller if numbers[OWNER] & 1 else self.rid,
            "resourceRid": self.rid,
            "startTime": iso_ms(facts.started_ms),
            "status": facts.status,
        }
        if numbers[CALLER] < CALLER_SHARE:
            record["callerRid"] = caller
        reason = _find_reason(facts)
        if reason:
            record["failureReason"] = reason
        return record

    def user_id(self, index: int) -> str | None:
        """Who started it: the API filters by it and does not show it."""
        number = draw(self._key, index)[USER]
        return uuid_text((number & 15,) * 8) if number < USER_SHARE else None

    def _failure_rate(self, started_ms: int) -> float:
        if is_incident(self.seed, started_ms):
            return INCIDENT_FAILURE_RATE
        release = draw(self._key, -1_000 - _release(started_ms))[0]
        return self.resource.failure_rate * (4 if release < BAD_RELEASE_SHARE else 1)


@dataclass(frozen=True)
class FoundryHistory:
    """All resources of the demo's Foundry."""

    span: Span = DEFAULT_SPAN
    seed: int = SEED

    @cached_property
    def streams(self) -> dict[str, FoundryStream]:
        """Each resource's executions by its RID, the busiest first."""
        made = (FoundryStream(resource, self.span, self.seed) for resource in RESOURCES)
        return {stream.rid: stream for stream in made}

    @cached_property
    def forbidden_rid(self) -> str:
        """A resource that exists but that the demo's token may not read."""
        key = make_key(self.seed, "foundry/forbidden")
        return "ri.function-registry.main.function." + uuid_text(draw(key, 0)[:8])


def _release(started_ms: int) -> int:
    return (started_ms - EPOCH_MS) // RELEASE_MS


def _version_text(started_ms: int) -> str:
    release = _release(started_ms)
    return f"1.{release // 4}.{release % 4}"


def _find_reason(facts: Facts) -> str | None:
    if facts.status == "FAILED":
        return pick(REASONS, facts.numbers[REASON])
    # The API's own example shows a success with a failure reason.
    return "timeout" if facts.numbers[REASON] < MISLEADING_REASON_SHARE else None
