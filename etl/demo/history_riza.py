"""The execution history of a Riza account, made up and always the same.

Shapes, names and key order are those of the API's OpenAPI document (version 0.1.4). Execution k
stands in slot k of the grid. An odd slot may hold a retry of the even one before it, a few seconds
after that failed, or share its start to the millisecond, as fan-outs do.
"""

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import NamedTuple

from etl.demo.chance import (
    DRAW_LIMIT,
    Draws,
    draw,
    iso_short,
    log_normal,
    make_key,
    make_table,
    pick,
    read_base32,
    ulid,
)
from etl.demo.grid import DEFAULT_SPAN, EPOCH_MS, Grid, Span, find_visible, is_incident, make_grid
from etl.demo.riza_catalogue import WORKLOADS, Record, Workload, make_fixed_request, make_vault
from etl.demo.riza_failures import FAILURES, INCIDENT_FAILURES, Failure
from etl.demo.riza_payloads import OUTPUTS, REQUESTS, take_log

SEED = 20_250_301
INCIDENT_FAILURE_RATE = 0.85
RETRY_FAILURE_RATE = 0.25
RETRY_SHARE = int(0.7 * DRAW_LIMIT)
SHARED_START_SHARE = int(0.02 * DRAW_LIMIT)
NO_DETAILS_SHARE = int(0.01 * DRAW_LIMIT)
EMPTY_INNER_ID_SHARE = int(0.05 * DRAW_LIMIT)
ECHO_SHARE = int(0.04 * DRAW_LIMIT)
SILENT_SHARE = int(0.15 * DRAW_LIMIT)
INDEX_MASK = 0xFFFFFF
REVISION_MS = 30 * 86_400_000

# What each of an execution's numbers decides.
(JITTER, WORKLOAD, FAILS, FAILURE, DURATION, PAIRING, BACKOFF, LINE, NO_DETAILS, STDOUT_SIZE,
 STDOUT_PLACE, OUTPUT_A, OUTPUT_B, INNER_ID, ECHO, PINNED, OVERHEAD) = range(17)  # fmt: skip
REQUEST = slice(17, 21)
ID_BITS = slice(21, 25)


class Facts(NamedTuple):
    """What decides the rest of an execution. `asked` are the numbers its request is made from."""

    started_ms: int
    workload: Workload
    failure: Failure | None
    duration_ms: int
    numbers: Draws
    asked: Draws


@dataclass(frozen=True)
class RizaHistory:
    """Every execution by index; pure: the same seed and grid give the same in any process."""

    span: Span = DEFAULT_SPAN
    seed: int = SEED

    @cached_property
    def _key(self) -> bytes:
        return make_key(self.seed, "riza")

    @cached_property
    def _grid(self) -> Grid:
        return make_grid(self.span)

    @cached_property
    def _workloads(self) -> tuple[Workload, ...]:
        return make_table({workload: workload.weight for workload in WORKLOADS})

    @cached_property
    def vault(self) -> dict[str, str]:
        """Each credential of the account by label: none of them may reach a store in clear."""
        return make_vault(self.seed)

    @cached_property
    def _ids(self) -> dict[str, str]:
        names = ["openai", "crm", *(workload.name for workload in WORKLOADS)]
        key = make_key(self.seed, "riza/ids")
        return {
            name: ulid(EPOCH_MS + place * 60_000, _join_bits(draw(key, place)))
            for place, name in enumerate(names)
        }

    @cached_property
    def _fixed_requests(self) -> dict[str, Record]:
        return {
            workload.name: make_fixed_request(workload, self.vault, self._ids)
            for workload in WORKLOADS
        }

    def visible(self, now: datetime) -> range:
        """The indexes that the API lists at `now`, oldest first."""
        return find_visible(self.span, self.span.executions, now, self.index_at)

    def index_at(self, time_ms: int) -> int:
        """The last execution that started at or before a time."""
        return self._grid.index_at(time_ms, self.started_ms)

    def started_ms(self, index: int) -> int:
        """When an execution started, in milliseconds since 1970; never falls with the index."""
        if index & 1:
            return self._facts(index).started_ms
        return self._grid.time_ms(index, draw(self._key, index)[JITTER])

    def exit_code(self, index: int) -> int:
        """The exit code of an execution, without making the rest of it."""
        failure = self._facts(index).failure
        return failure.exit_code if failure else 0

    def execution_id(self, index: int) -> str:
        """The ULID of an execution: sorts as the index does, also within one millisecond."""
        facts = self._facts(index)
        return _make_id(index, facts.started_ms, facts.numbers)

    def find_index(self, execution_id: str) -> int | None:
        """The index of an id, or None for an id that this history never gives."""
        started_ms = read_base32(execution_id[:10])
        tail = read_base32(execution_id[10:15])
        if started_ms is None or tail is None:
            return None
        near = self._grid.slot_at(started_ms)
        # The id holds the index but for its upper bits, and those the time tells.
        offset = (tail >> 1) - near & INDEX_MASK
        index = near + offset - (INDEX_MASK + 1 if offset > INDEX_MASK >> 1 else 0)
        return index if self.execution_id(index) == execution_id else None

    def is_listed_whole(self, index: int) -> bool:
        """False for the few executions whose `details` only `retrieve` gives."""
        return draw(self._key, index)[NO_DETAILS] >= NO_DETAILS_SHARE

    def listed(self, index: int) -> Record:
        """An execution as the list shows it: about one in a hundred without `details`."""
        facts = self._facts(index)
        record = self._make_record(index, facts)
        if facts.numbers[NO_DETAILS] < NO_DETAILS_SHARE:
            del record["details"]
        return record

    def execution(self, index: int) -> Record:
        """An execution as `retrieve` shows it."""
        return self._make_record(index, self._facts(index))

    def _make_record(self, index: int, facts: Facts) -> Record:
        identity = _make_id(index, facts.started_ms, facts.numbers)
        return {
            "duration": facts.duration_ms + 3 + (facts.numbers[OVERHEAD] & 15),
            "exit_code": facts.failure.exit_code if facts.failure else 0,
            "id": identity,
            "language": facts.workload.language,
            "started_at": iso_short(facts.started_ms),
            "details": self._make_details(facts, identity),
        }

    def _facts(self, index: int) -> Facts:
        numbers = draw(self._key, index)
        started_ms = self._grid.time_ms(index, numbers[JITTER])
        if index & 1 and numbers[PAIRING] < RETRY_SHARE:
            previous = self._facts(index - 1)
            if previous.failure and previous.failure.is_transient:
                return _make_retry(previous, numbers, started_ms)
            if numbers[PAIRING] < SHARED_START_SHARE:
                started_ms = previous.started_ms
        workload = pick(self._workloads, numbers[WORKLOAD])
        failure = self._find_failure(workload, numbers, started_ms)
        duration_ms = _make_duration(workload, failure, numbers)
        return Facts(started_ms, workload, failure, duration_ms, numbers, numbers[REQUEST])

    def _find_failure(self, workload: Workload, numbers: Draws, started_ms: int) -> Failure | None:
        rate, names = workload.failure_rate, workload.failures
        if workload.calls_out and is_incident(self.seed, started_ms):
            rate, names = INCIDENT_FAILURE_RATE, INCIDENT_FAILURES
        if numbers[FAILS] >= rate * DRAW_LIMIT:
            return None
        return FAILURES[workload.language][pick(names, numbers[FAILURE])]

    def _make_details(self, facts: Facts, identity: str) -> Record:
        workload = facts.workload
        request = self._make_request(facts)
        result = self._make_result(facts, identity)
        if workload.kind == "script":
            return {"request": request, "response": result, "type": "script"}
        response = _make_response(facts, result)
        if workload.kind == "function":
            return {"request": request, "response": response, "type": "function"}
        return {
            "request": request,
            "response": response,
            "tool_id": self._ids[workload.name],
            "type": "tool",
        }

    def _make_request(self, facts: Facts) -> Record:
        workload = facts.workload
        request = self._fixed_requests[workload.name] | REQUESTS[workload.request](
            facts.asked, self.vault
        )
        if workload.kind != "tool":
            request.setdefault("code", workload.code)
        elif facts.numbers[PINNED] & 3 == 0:
            revision = facts.started_ms // REVISION_MS
            request["revision_id"] = ulid(revision * REVISION_MS, int(workload.duration_ms))
        return request

    def _make_result(self, facts: Facts, identity: str) -> Record:
        numbers = facts.numbers
        inner_id = "" if numbers[INNER_ID] < EMPTY_INNER_ID_SHARE else identity
        return {
            "duration": facts.duration_ms,
            "exit_code": facts.failure.exit_code if facts.failure else 0,
            "id": identity if facts.workload.kind == "script" else inner_id,
            "stderr": _make_stderr(facts),
            "stdout": self._make_stdout(facts),
        }

    def _make_stdout(self, facts: Facts) -> str:
        numbers, workload = facts.numbers, facts.workload
        if numbers[STDOUT_PLACE] < SILENT_SHARE:
            return ""
        text = take_log(workload.stdout_bytes, numbers[STDOUT_SIZE], numbers[STDOUT_PLACE])
        if numbers[ECHO] >= ECHO_SHARE:
            return text
        # People print their environment to see why something fails.
        values = [value for _, value in workload.env] + [secret for *_, secret in workload.auth]
        echo = "".join(f"DEBUG config {value}\n" for value in values if "{" in value)
        return echo.format_map(self.vault) + text


def _make_retry(previous: Facts, numbers: Draws, slot_ms: int) -> Facts:
    workload = previous.workload
    started_ms = previous.started_ms + previous.duration_ms + 1_000 + (numbers[BACKOFF] >> 2)
    fails = numbers[FAILS] < RETRY_FAILURE_RATE * DRAW_LIMIT
    failure = previous.failure if fails else None
    duration_ms = _make_duration(workload, failure, numbers)
    return Facts(min(started_ms, slot_ms), workload, failure, duration_ms, numbers, previous.asked)


def _make_duration(workload: Workload, failure: Failure | None, numbers: Draws) -> int:
    if failure and failure.is_timeout:
        return workload.timeout_s * 1_000 + (numbers[DURATION] & 63)
    median = workload.duration_ms * (0.6 if failure else 1.0)
    duration_ms = 1 + int(log_normal(median, 0.7, numbers[DURATION]))
    return min(duration_ms, workload.timeout_s * 1_000 - 1)


def _make_id(index: int, started_ms: int, numbers: Draws) -> str:
    # The index leads the random part: ids of one millisecond must sort in the order of the list.
    return ulid(started_ms, (index & INDEX_MASK) << 56 | _join_bits(numbers[ID_BITS]) >> 8)


def _join_bits(numbers: Draws) -> int:
    a, b, c, d = numbers[:4]
    return a << 48 | b << 32 | c << 16 | d


def _make_stderr(facts: Facts) -> str:
    if facts.failure is None:
        warns = facts.workload.language == "python" and facts.numbers[LINE] & 31 == 0
        return "main.py:7: DeprecationWarning: datetime.utcnow() is deprecated\n" if warns else ""
    line = 8 + facts.numbers[LINE] % 60
    host = facts.workload.auth[0][0] if facts.workload.auth else "api.example.com"
    return facts.failure.stderr.format(line=line, caller_line=line + 31, host=host)


def _make_response(facts: Facts, result: Record) -> Record:
    failure = facts.failure
    if failure:
        return {"execution": result, "output": None, "output_status": failure.output_status}
    output = OUTPUTS[facts.workload.output](facts.numbers[OUTPUT_A], facts.numbers[OUTPUT_B])
    return {"execution": result, "output": output, "output_status": "valid"}
