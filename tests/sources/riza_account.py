"""A Riza account that holds still unless told otherwise, and notes what it is asked."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any, Literal
from urllib.parse import unquote

import httpx

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
Forgotten = Literal["refused", "empty", "ignored"]


def describe_time(minutes: float) -> str:
    return (NOON + timedelta(minutes=minutes)).isoformat()


def make_execution(id: str, minutes: float = 0, **fields: Any) -> dict[str, Any]:
    """A listed execution with details; a field given as None is left out."""
    record = {
        "id": id,
        "started_at": describe_time(minutes),
        "language": "python",
        "duration": 5,
        "exit_code": 0,
        "details": {
            "type": "script",
            "request": {"language": "python", "code": f"print('{id}')"},
            "response": {"id": id, "exit_code": 0, "stdout": "", "stderr": "", "duration": 5},
        },
    }
    return {name: value for name, value in (record | fields).items() if value is not None}


def make_history(count: int, *, is_ascending: bool = False, step: float = 1) -> list[Any]:
    """Executions `e1` (oldest) to `e<count>`, a step of minutes apart, in the list's order."""
    history = [make_execution(f"e{n}", n * step) for n in range(1, count + 1)]
    return history if is_ascending else history[::-1]


@dataclass
class Account:
    """`records` in the order of the list; requests are noted as `head`, `after ID` and `get ID`.

    `forgotten` is what becomes of an id that is not in the list (any more). `before` is called
    with each request before it is answered: the place for things to happen.
    """

    records: list[Any]
    forgotten: Forgotten = "refused"
    limit_max: int = 100
    now: datetime | None = None
    whole: dict[str, Any] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    before: Callable[[str], httpx.Response | None] = lambda asked: None

    @property
    def transport(self) -> httpx.MockTransport:
        return httpx.MockTransport(self.answer)

    def answer(self, request: httpx.Request) -> httpx.Response:
        path = request.url.raw_path.decode().partition("?")[0]
        after = request.url.params.get("starting_after")
        if path == "/v1/executions":
            asked = "head" if after is None else f"after {after}"
        else:
            asked = f"get {unquote(path.removeprefix('/v1/executions/'))}"
        self.asked.append(asked)
        response = self.before(asked) or self._answer(asked, request)
        if self.now is not None:
            response.headers["date"] = format_datetime(self.now, usegmt=True)
        return response

    def _answer(self, asked: str, request: httpx.Request) -> httpx.Response:
        verb, _, id = asked.partition(" ")
        if verb == "get":
            return answer_json(self.whole[id]) if id in self.whole else NOT_FOUND
        ids = [record.get("id") if isinstance(record, dict) else None for record in self.records]
        if verb == "after" and id not in ids and self.forgotten != "ignored":
            return NOT_FOUND if self.forgotten == "refused" else answer_json({"data": []})
        start = ids.index(id) + 1 if verb == "after" and id in ids else 0
        limit = min(int(request.url.params["limit"]), self.limit_max)
        return answer_json({"data": self.records[start : start + limit]})

    def take_asked(self) -> list[str]:
        """The requests since the last call."""
        asked, self.asked = self.asked, []
        return asked

    def delete(self, *ids: str) -> None:
        self.records = [record for record in self.records if record["id"] not in ids]


NOT_FOUND = httpx.Response(404, json={"code": 5, "message": "not found"})


def answer_json(body: Any) -> httpx.Response:
    return httpx.Response(200, content=json.dumps(body).encode())


def list_ids(records: Sequence[Any]) -> list[str]:
    return [record.id for record in records]
