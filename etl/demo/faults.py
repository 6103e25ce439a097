"""Which requests go wrong, and how: by seeded rates or by the number of the request."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

from etl.demo.chance import DRAW_LIMIT, draw, make_key

FaultName = Literal[
    "rate_limit",  # 429, with Retry-After unless retry_after_s is None
    "error_500",
    "error_503",
    "no_retry",  # 503 that says: do not ask again
    "drop",  # the connection is closed before the first byte
    "reset",  # the connection is reset in the middle of the response
    "cut",  # closed in order, with fewer bytes than Content-Length says
    "html",  # a proxy's page in place of JSON, with status 200
    "soft_error",  # B3OS: an envelope that says failure inside HTTP 200
    "repeat_page",  # the list's last page once more
    "delete_anchor",  # Riza: the execution of starting_after is deleted first
    "expire_token",  # Foundry: the pageToken is refused
    "slow",  # slow_ms more than the others
]
FAULT_NAMES: tuple[FaultName, ...] = get_args(FaultName)


@dataclass(frozen=True, slots=True)
class Faults:
    """What goes wrong: rates are shares of requests, `script` maps request numbers to faults.

    Requests are numbered from 1. `kinds` limits faults to some kinds of request (`riza.list`,
    `b3os.get`, …); others still count. `latency_ms` is waited before every response.
    `page_token_ttl_s` is the life of a Foundry token by the server's clock, read at its start.
    Equal settings give each request number the same fault.
    """

    seed: int = 0
    rate_limit: float = 0.0
    retry_after_s: float | None = 1.0
    error_500: float = 0.0
    error_503: float = 0.0
    drop: float = 0.0
    reset: float = 0.0
    cut: float = 0.0
    html: float = 0.0
    soft_error: float = 0.0
    repeat_page: float = 0.0
    delete_anchor: float = 0.0
    expire_token: float = 0.0
    slow: float = 0.0
    slow_ms: float = 500.0
    latency_ms: float = 0.0
    page_token_ttl_s: float | None = None
    script: Mapping[int, FaultName] = field(default_factory=dict)
    kinds: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        unknown = set(self.script.values()) - set(FAULT_NAMES)
        if unknown:
            raise ValueError(f"unknown faults: {sorted(unknown)}; known are {list(FAULT_NAMES)}")
        if sum(rate for _, rate in list_rates(self)) > 1:
            raise ValueError("the rates of all faults add up to more than 1")


def list_rates(faults: Faults) -> list[tuple[FaultName, float]]:
    """The faults that happen by rate, in a fixed order."""
    rates: list[tuple[FaultName, float]] = [
        ("rate_limit", faults.rate_limit),
        ("error_500", faults.error_500),
        ("error_503", faults.error_503),
        ("drop", faults.drop),
        ("reset", faults.reset),
        ("cut", faults.cut),
        ("html", faults.html),
        ("soft_error", faults.soft_error),
        ("repeat_page", faults.repeat_page),
        ("delete_anchor", faults.delete_anchor),
        ("expire_token", faults.expire_token),
        ("slow", faults.slow),
    ]
    return [(name, rate) for name, rate in rates if rate > 0]


def find_fault(faults: Faults, number: int, kind: str) -> FaultName | None:
    """The fault of request `number`, or None."""
    if faults.kinds and kind not in faults.kinds:
        return None
    if number in faults.script:
        return faults.script[number]
    rates = list_rates(faults)
    if not rates:
        return None
    place = draw(make_key(faults.seed, "faults"), number)[0] / DRAW_LIMIT
    for name, rate in rates:
        place -= rate
        if place < 0:
            return name
    return None


NO_FAULTS = Faults()
