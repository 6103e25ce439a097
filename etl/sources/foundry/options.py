"""The configuration of this kind: resources, and a filter as the API takes it."""

import re
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from etl.records import SourceConfig
from etl.sources.foundry.records import STATUSES

RESOURCE = re.compile(r"ri\.[a-z][a-z0-9-]*\.[a-z0-9-]*\.[a-z][a-z0-9-]*\.[A-Za-z0-9._-]+")
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
"""Which fields a filter may ask for, and how."""
FILTER_KEYS = {
    "eq": {"type", "field", "value"},
    "in": {"type", "field", "value"},
    "gte": {"type", "field", "value"},
    "lte": {"type", "field", "value"},
    "isNull": {"type", "field"},
    "not": {"type", "filter"},
    "and": {"type", "filters"},
    "or": {"type", "filters"},
}
FILTER_UNITS = ("MILLISECONDS", "SECONDS", "MINUTES", "HOURS")
FILTER_DEPTH_MAX = 20


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The keys that only this kind has; `where` is passed on as it is."""

    resources: Annotated[
        tuple[str, ...],
        Meta(min_length=1, description="a list of resource RIDs, one at least"),
    ]
    where: Annotated[dict[str, Any], Meta(description="a filter: a table")] | None = None
    window_days: Annotated[
        float, Meta(ge=0.01, le=3_650, description="a number of days from 0.01 to 3650")
    ] = 30.0


def check_config(config: SourceConfig) -> None:
    """Raise ValueError, with the path of the fault, for what the API would refuse.

    And for a history without a beginning: it would be asked for window by window since 1970.
    """
    _check_options(config.options)
    if config.since is None:
        raise ValueError(
            "since: missing; expected the time where the history begins, such as "
            "2026-01-01T00:00:00Z: Foundry is asked for one window of time after another"
        )


def _check_options(options: Options) -> None:
    for place, rid in enumerate(options.resources):
        if not RESOURCE.fullmatch(rid):
            raise ValueError(
                f"resources[{place}]: expected a RID, such as "
                '"ri.function-registry.main.function.c26f11c8-cdb3-4f44-9f5d-9816ea1c82da"'
            )
        if rid in options.resources[:place]:
            raise ValueError(f"resources[{place}]: the same resource stands in the list before")
    if options.where is not None:
        _check_filter(options.where, "where", 0)


def _check_filter(where: Any, path: str, depth: int) -> None:
    if not isinstance(where, dict):
        raise ValueError(f"{path}: expected a table")
    if depth > FILTER_DEPTH_MAX:
        raise ValueError(f"{path}: nested more than {FILTER_DEPTH_MAX} deep")
    operator = where.get("type")
    if operator not in FILTER_KEYS:
        raise ValueError(f"{path}.type: expected one of {', '.join(FILTER_KEYS)}")
    for key in sorted(FILTER_KEYS[operator] ^ where.keys()):
        reason = "missing" if key not in where else f"{operator} has no such key"
        raise ValueError(f"{path}.{key}: {reason}")
    if operator == "not":
        _check_filter(where["filter"], f"{path}.filter", depth + 1)
    elif operator in ("and", "or"):
        if not isinstance(where["filters"], list) or not where["filters"]:
            raise ValueError(f"{path}.filters: expected a list with one filter at least")
        for place, child in enumerate(where["filters"]):
            _check_filter(child, f"{path}.filters[{place}]", depth + 1)
    else:
        _check_comparison(where, path)


def _check_comparison(where: dict[str, Any], path: str) -> None:
    name, operator = where["field"], where["type"]
    if name not in OPERATORS:
        raise ValueError(f"{path}.field: expected one of {', '.join(OPERATORS)}")
    if operator not in OPERATORS[name]:
        raise ValueError(f"{path}.type: {name} takes {', '.join(OPERATORS[name])} only")
    if operator == "isNull":
        return
    if name == "duration":
        _check_duration(where["value"], f"{path}.value")
        return
    values = where["value"] if operator == "in" else [where["value"]]
    form = "a list with one text at least" if operator == "in" else "a text"
    if not isinstance(values, list) or not values or not all(isinstance(v, str) for v in values):
        raise ValueError(f"{path}.value: expected {form}")
    if name == "status" and not set(values) <= set(STATUSES):
        raise ValueError(f"{path}.value: expected {' or '.join(STATUSES)}")


def _check_duration(value: Any, path: str) -> None:
    if not isinstance(value, dict) or value.keys() != {"value", "unit"}:
        raise ValueError(f"{path}: expected a table with value and unit")
    if type(value["value"]) is not int or value["value"] < 0:
        raise ValueError(f"{path}.value: expected a whole number, not below 0")
    if value["unit"] not in FILTER_UNITS:
        raise ValueError(f"{path}.unit: expected one of {', '.join(FILTER_UNITS)}")
