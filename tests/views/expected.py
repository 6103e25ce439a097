"""Textbook formulas and plain loops: what the views must agree with."""

import math
import statistics
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any

import pytest

from tests.views.mapping import Execution

Interval = tuple[datetime, datetime]
Key = tuple[Any, ...]


def group(
    executions: Iterable[Execution], key: Callable[[Execution], Key]
) -> dict[Key, list[Execution]]:
    groups: dict[Key, list[Execution]] = defaultdict(list)
    for execution in executions:
        groups[key(execution)].append(execution)
    return dict(groups)


def find_wilson(failed: int, finished: int) -> tuple[float | None, float | None]:
    """Wilson's score interval as it stands in textbooks, in shares instead of counts."""
    if finished == 0:
        return None, None
    z = 1.959964
    share = failed / finished
    centre = share + z * z / (2 * finished)
    spread = z * math.sqrt(share * (1 - share) / finished + z * z / (4 * finished**2))
    scale = 1 + z * z / finished
    return (centre - spread) / scale, (centre + spread) / scale


def rate(failed: int, finished: int, suffix: str = "") -> dict[str, Any]:
    low, high = find_wilson(failed, finished)
    return {
        f"finished{suffix}": finished,
        f"failed{suffix}": failed,
        f"failure_rate{suffix}": failed / finished if finished else None,
        f"failure_rate{suffix}_low": low,
        f"failure_rate{suffix}_high": high,
    }


def count_outcomes(executions: Sequence[Execution]) -> dict[str, Any]:
    """The columns that every view of failure rates has."""
    failed = sum(e.is_failed for e in executions)
    finished = sum(e.is_finished for e in executions)
    return {
        "executions": len(executions),
        "succeeded": finished - failed,
        "cancelled": sum(e.outcome == "cancellation" for e in executions),
        "skipped": sum(e.outcome == "skip" for e in executions),
        "unknown": sum(e.outcome == "unknown" for e in executions),
        "running": sum(e.outcome == "running" for e in executions),
        **rate(failed, finished),
        "failed_share_of_all": failed / len(executions),
        "low_sample": finished < 30,
    }


def find_quantile(values: Sequence[float], share: float) -> float | None:
    """Linear interpolation between the neighbours; None below 5 samples."""
    if len(values) < 5:
        return None
    return statistics.quantiles(values, n=1000, method="inclusive")[round(share * 1000) - 1]


def measure(values: Sequence[float], prefix: str = "") -> dict[str, Any]:
    """The columns that every view of durations has."""
    is_enough = len(values) >= 5
    return {
        f"{prefix}executions": len(values),
        f"{prefix}avg_ms": statistics.fmean(values) if is_enough else None,
        f"{prefix}stddev_ms": statistics.stdev(values) if is_enough else None,
        f"{prefix}p50_ms": find_quantile(values, 0.5),
        f"{prefix}p90_ms": find_quantile(values, 0.9),
        f"{prefix}p95_ms": find_quantile(values, 0.95),
        f"{prefix}p99_ms": find_quantile(values, 0.99),
        f"{prefix}max_ms": max(values) if is_enough else None,
    }


def is_covered(ranges: Iterable[Sequence[Interval]], since: datetime, until: datetime) -> bool:
    """Whether one range of each stream holds all of `[since, until)`."""
    return all(any(a <= since and until <= b for a, b in stream) for stream in ranges)


def assert_same(
    actual: Sequence[dict[str, Any]], expected: Sequence[dict[str, Any]], *key: str
) -> None:
    """The same rows, whatever their order; numbers may differ by rounding."""

    def order(row: dict[str, Any]) -> list[tuple[bool, Any]]:
        return [(row[name] is None, row[name] if row[name] is not None else 0) for name in key]

    actual, expected = sorted(actual, key=order), sorted(expected, key=order)
    keys = [[row[name] for name in key] for row in actual]
    assert keys == [[row[name] for name in key] for row in expected]
    for row, wanted in zip(actual, expected, strict=True):
        assert row.keys() == wanted.keys()
        for name, value in wanted.items():
            assert row[name] == _about(value), (name, row, wanted)


def _about(value: Any) -> Any:
    return pytest.approx(value, rel=1e-9, abs=1e-9) if isinstance(value, float) else value
