"""The `where` filter of Foundry's list: JSON to a test of one execution."""

from collections.abc import Callable, Mapping
from typing import Any

from etl.demo.history_foundry import UNIT_MS

Matches = Callable[[Mapping[str, Any]], bool]

# Tuples: what a client sends need not be hashable.
OPERATORS = {
    "status": ("eq", "in"),
    "duration": ("gte", "lte"),
    "userId": ("eq", "in", "isNull"),
    "callerRid": ("eq", "in", "isNull"),
    "resourceVersion": ("eq", "in"),
    "failureReason": ("eq", "in"),
    "foundryTraceId": ("eq", "in"),
    "traceOwningRid": ("eq", "in"),
}
DURATION_UNITS = ("MILLISECONDS", "SECONDS", "MINUTES", "HOURS")
STATUSES = {"SUCCEEDED", "FAILED"}
DEPTH_MAX = 20


class InvalidFilterError(ValueError):
    """The filter is not one that the API takes."""


def read_filter(where: object, depth: int = 0) -> Matches:
    """A test of an execution's fields, `userId` among them; raises `InvalidFilterError`."""
    if not isinstance(where, dict) or depth > DEPTH_MAX:
        raise InvalidFilterError("a filter is an object, at most 20 deep")
    operator = where.get("type")
    if operator in ("and", "or"):
        return _join(operator, _read_children(where, depth))
    if operator == "not":
        inner = read_filter(where.get("filter"), depth + 1)
        return lambda execution: not inner(execution)
    return _read_field_test(where)


def _read_children(where: dict[str, Any], depth: int) -> list[Matches]:
    filters = where.get("filters")
    if not isinstance(filters, list) or not filters:
        raise InvalidFilterError("filters must be a list with at least one filter")
    return [read_filter(child, depth + 1) for child in filters]


def _join(operator: str, children: list[Matches]) -> Matches:
    if operator == "and":
        return lambda execution: all(child(execution) for child in children)
    return lambda execution: any(child(execution) for child in children)


def _read_field_test(where: dict[str, Any]) -> Matches:
    operator, name = where.get("type"), where.get("field")
    if not isinstance(name, str) or operator not in OPERATORS.get(name, ()):
        raise InvalidFilterError(f"field {name!r} does not take {operator!r}")
    if operator == "isNull":
        return lambda execution: execution.get(name) is None
    if name == "duration":
        return _read_duration_test(operator, where.get("value"))
    values = [where.get("value")] if operator == "eq" else where.get("value")
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise InvalidFilterError(f"value of {name} must be text")
    if name == "status" and not set(values) <= STATUSES:
        raise InvalidFilterError("status is SUCCEEDED or FAILED")
    return lambda execution: execution.get(name) in values


def _read_duration_test(operator: str, value: object) -> Matches:
    if not isinstance(value, dict) or value.get("unit") not in DURATION_UNITS:
        raise InvalidFilterError("a duration is a value and a unit up to HOURS")
    number = value.get("value")
    if type(number) is not int or number < 0:
        raise InvalidFilterError("a duration is a whole number, not negative")
    limit_ms = number * UNIT_MS[value["unit"]]
    if operator == "gte":
        return lambda execution: _duration_ms(execution) >= limit_ms
    return lambda execution: _duration_ms(execution) <= limit_ms


def _duration_ms(execution: Mapping[str, Any]) -> int:
    duration = execution["duration"]
    return int(duration["value"]) * UNIT_MS[duration["unit"]]
