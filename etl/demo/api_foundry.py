"""The Foundry dialect: `POST /api/v2/observability/resources/{rid}/listExecutions?preview=true`."""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Any

import msgspec

from etl.demo.cache import Chunk, ChunkCache
from etl.demo.chance import unix_ms, unix_ms_up, uuid_text
from etl.demo.foundry_filter import InvalidFilterError, Matches, read_filter
from etl.demo.history_foundry import FoundryHistory, FoundryStream
from etl.demo.messages import Answer, Request, answer_json, encode_json, join_records

PATH = re.compile(r"/api/v2/observability/resources/([^/]+)/listExecutions")
PAGE_SIZE_MAX = 100
# A page may hold less than was asked for, as with any API that filters while it reads.
SCANNED_MAX = 2_000
ERROR_NAMES = {
    400: ("INVALID_ARGUMENT", "InvalidArgument"),
    401: ("UNAUTHORIZED", "Default:Unauthorized"),
    404: ("NOT_FOUND", "Default:NotFound"),
    429: ("CUSTOM_CLIENT", "Default:TooManyRequests"),
    500: ("INTERNAL", "Default:Internal"),
    503: ("INTERNAL", "Default:ServiceUnavailable"),
}


class ListRequest(msgspec.Struct, rename="camel"):
    """The request body; all fields are optional."""

    start_time: datetime | None = None
    end_time: datetime | None = None
    where: Any = None
    page_size: int = PAGE_SIZE_MAX
    page_token: str | None = None


class Place(msgspec.Struct, array_like=True):
    """What a page token holds: where to go on, for which request, and when it was made."""

    below: int
    asked: str
    issued_ms: int
    start_ms: int
    end_ms: int


class RefusedError(Exception):
    """The request is refused with this answer."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


class FoundryApi:
    """One Foundry with a few resources; not `is_enabled` is a 404 with an empty body."""

    def __init__(
        self,
        history: FoundryHistory,
        now: datetime,
        page_token_ttl_s: float | None = None,
        is_enabled: bool = True,
        cached_records: int = 200_000,
    ) -> None:
        self.history = history
        self._ttl_ms = None if page_token_ttl_s is None else page_token_ttl_s * 1_000
        self._is_enabled = is_enabled
        self._first = {rid: stream.visible(now).start for rid, stream in history.streams.items()}
        self._caches = {
            rid: _make_cache(stream, cached_records) for rid, stream in history.streams.items()
        }

    def kind(self, request: Request) -> str:
        """`foundry.list` or `foundry.other`."""
        is_list = request.method == "POST" and PATH.fullmatch(request.path)
        return "foundry.list" if is_list else "foundry.other"

    def answer(self, request: Request, now: datetime, fault: str | None) -> Answer:
        """The API's answer to an authenticated request."""
        found = PATH.fullmatch(request.path)
        if not self._is_enabled:
            return Answer(404, b"")
        if request.method != "POST" or found is None:
            return self.refuse(404, "no such endpoint")
        try:
            stream = self._find_stream(found[1])
            asked = self._read_request(request)
            place = self._find_place(stream, asked, now, is_expired=fault == "expire_token")
            return self._list(stream, asked, place, now)
        except RefusedError as refusal:
            return refusal.answer

    def refuse(
        self, status: int, message: str, name: str | None = None, **parameters: str
    ) -> Answer:
        """An error body: `errorInstanceId` is what support asks for."""
        code, default_name = ERROR_NAMES.get(status, ("PERMISSION_DENIED", "PermissionDenied"))
        body = {
            "errorCode": code,
            "errorName": name or default_name,
            "errorDescription": message,
            "errorInstanceId": _make_instance_id(message, parameters),
            "parameters": parameters,
        }
        return answer_json(body, status)

    def _find_stream(self, rid: str) -> FoundryStream:
        if rid == self.history.forbidden_rid:
            text = (
                "The provided token does not have permission to list executions for this resource."
            )
            name = "ListExecutionsPermissionDenied"
            raise RefusedError(self.refuse(403, text, name, resourceRid=rid))
        stream = self.history.streams.get(rid)
        if stream is None:
            text = "The given Resource could not be found."
            raise RefusedError(self.refuse(404, text, "ResourceNotFound", resourceRid=rid))
        return stream

    def _read_request(self, request: Request) -> ListRequest:
        if request.query.get("preview") != "true":
            text = "This endpoint is in preview: add preview=true."
            raise RefusedError(self.refuse(400, text, "ApiFeaturePreviewUsageOnly"))
        try:
            asked = msgspec.json.decode(request.body or b"{}", type=ListRequest)
        except msgspec.DecodeError as error:
            raise RefusedError(self.refuse(400, str(error))) from error
        if not 1 <= asked.page_size <= PAGE_SIZE_MAX:
            raise RefusedError(
                self.refuse(400, "pageSize", "InvalidPageSize", pageSize=str(asked.page_size))
            )
        return asked

    def _find_place(
        self, stream: FoundryStream, asked: ListRequest, now: datetime, *, is_expired: bool
    ) -> Place:
        print_ = _fingerprint(stream.rid, asked)
        if asked.page_token is None:
            end = _aware(asked.end_time) or now
            start = _aware(asked.start_time) or now - timedelta(hours=24)
            below = min(stream.visible(now).stop, stream.index_at(unix_ms_up(end) - 1) + 1)
            return Place(below, print_, unix_ms(now), unix_ms_up(start), unix_ms_up(end))
        place = _read_token(asked.page_token)
        age_ms = unix_ms(now) - place.issued_ms if place else 0
        is_expired = is_expired or (self._ttl_ms is not None and age_ms > self._ttl_ms)
        if place is None or place.asked != print_ or is_expired:
            raise RefusedError(
                self.refuse(400, "The page token is invalid or expired.", "InvalidPageToken")
            )
        return place

    def _list(
        self, stream: FoundryStream, asked: ListRequest, place: Place, now: datetime
    ) -> Answer:
        low = max(self._first[stream.rid], stream.index_at(place.start_ms - 1) + 1)
        records, below = self._collect(stream, asked, range(low, place.below), unix_ms(now))
        tail = b"}"
        if below > low:
            following = Place(below, place.asked, unix_ms(now), place.start_ms, place.end_ms)
            tail = b'"nextPageToken":"' + _make_token(following) + b'"}'
        if not records:
            return Answer(200, b"{" + tail)
        tail = b"]}" if below <= low else b"]," + tail
        return Answer(200, join_records(b'{"data":[', records, tail))

    def _collect(
        self, stream: FoundryStream, asked: ListRequest, rest: range, now_ms: int
    ) -> tuple[list[bytes], int]:
        """A page's records, newest first, and the index below which the next page goes on."""
        matches = self._read_where(stream, asked.where)
        records: list[bytes] = []
        below, stop = rest.stop, max(rest.start, rest.stop - SCANNED_MAX)
        while below > stop and len(records) < asked.page_size:
            taken = range(max(stop, below - (asked.page_size - len(records))), below)
            chunk = self._caches[stream.rid].take(taken, now_ms)
            chosen = [
                record
                for index, (completed_ms, record) in zip(
                    reversed(taken), reversed(chunk), strict=True
                )
                if completed_ms <= now_ms and (matches is None or matches(index))
            ]
            records += chosen
            below = taken.start
        return records, below

    def _read_where(self, stream: FoundryStream, where: object) -> "_IndexTest | None":
        if where is None:
            return None
        try:
            return _IndexTest(stream, read_filter(where))
        except InvalidFilterError as error:
            raise RefusedError(self.refuse(400, str(error), "InvalidExecutionFilter")) from error


class _IndexTest:
    """A filter on executions as a test of their indexes."""

    def __init__(self, stream: FoundryStream, matches: Matches) -> None:
        self._stream = stream
        self._matches = matches

    def __call__(self, index: int) -> bool:
        execution = self._stream.execution(index)
        return self._matches(execution | {"userId": self._stream.user_id(index)})


def _make_cache(stream: FoundryStream, records_max: int) -> ChunkCache[tuple[int, bytes]]:
    def render(indexes: range, now_ms: int) -> Chunk[tuple[int, bytes]]:
        return Chunk(
            tuple(
                (stream.completed_ms(index), encode_json(stream.execution(index)))
                for index in indexes
            )
        )

    return ChunkCache(render, records_max)


def _aware(moment: datetime | None) -> datetime | None:
    return moment.replace(tzinfo=UTC) if moment is not None and moment.tzinfo is None else moment


def _fingerprint(rid: str, asked: ListRequest) -> str:
    bound = encode_json([rid, asked.start_time, asked.end_time, asked.where])
    return blake2b(bound, digest_size=6).hexdigest()


def _make_token(place: Place) -> bytes:
    return b"v1." + urlsafe_b64encode(msgspec.json.encode(place)).rstrip(b"=")


def _read_token(token: str) -> Place | None:
    version, _, text = token.partition(".")
    if version != "v1":
        return None
    try:
        return msgspec.json.decode(urlsafe_b64decode(text + "=" * (-len(text) % 4)), type=Place)
    except (Base64Error, msgspec.DecodeError, ValueError):
        return None


def _make_instance_id(message: str, parameters: dict[str, str]) -> str:
    digest = blake2b(encode_json([message, parameters]), digest_size=16).digest()
    return uuid_text(tuple(digest[n] << 8 | digest[n + 1] for n in range(0, 16, 2)))
