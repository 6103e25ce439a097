"""`etl sync --plan`: what a sync would walk. Sends nothing, writes nothing."""

import json
from collections.abc import Sequence
from typing import Any

import click

from etl.cli.opening import open_known_or_empty
from etl.cli.render import print_table
from etl.cli.shell import Shell
from etl.config import Config
from etl.records import EPOCH, Gap, SourceConfig
from etl.sync.plan import StreamPlan, estimate_requests
from etl.sync.run import plan_source
from etl.wording import format_duration, format_time

COLUMNS = ("source", "stream", "gap", "from", "until", "length", "requests")


def show_plan(
    shell: Shell, config: Config, sources: Sequence[SourceConfig], is_full: bool, is_json: bool
) -> int:
    """Print the gaps of each stream, in the order in which they would be walked."""
    now = shell.clock()
    with open_known_or_empty(config.store) as connection:
        planned = [
            (source, plan, estimate_requests(connection, source, plan))
            for source in sources
            for plan in plan_source(connection, source, now, is_full)
        ]
    if is_json:
        click.echo(json.dumps([_to_json(*entry) for entry in planned], indent=2))
    else:
        _print(planned)
    return 0


def _print(planned: Sequence[tuple[SourceConfig, StreamPlan, int | None]]) -> None:
    rows = []
    for source, plan, requests in planned:
        for place, gap in enumerate(plan.gaps):
            length = "all" if gap.since <= EPOCH else format_duration(gap.until - gap.since)
            total = "unknown" if requests is None else f"about {requests}"
            rows.append(
                (
                    source.name,
                    plan.stream.name,
                    name_gap(plan, gap),
                    format_time(gap.since),
                    format_time(gap.until),
                    length,
                    total if place == 0 else "",
                )
            )
    is_right = [name in ("length", "requests") for name in COLUMNS]
    print_table(COLUMNS, rows, is_right, is_wrapped=True)


def name_gap(plan: StreamPlan, gap: Gap) -> str:
    """What a gap is: the newest time, read again in part; or a part of the past."""
    known = plan.newest_known
    if known is None:
        return "all"
    return "head" if gap.until >= known.until else "missing"


def _to_json(source: SourceConfig, plan: StreamPlan, requests: int | None) -> dict[str, Any]:
    return {
        "source": source.name,
        "stream": plan.stream.name,
        "lookback_s": plan.lookback.total_seconds(),
        "estimated_requests": requests,
        "gaps": [
            {
                "name": name_gap(plan, gap),
                "since": gap.since.isoformat(),
                "until": gap.until.isoformat(),
            }
            for gap in plan.gaps
        ],
    }
