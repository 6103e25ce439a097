"""How far a sync has come: a bar per source on a terminal, nothing elsewhere."""

import contextlib
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from etl.cli.shell import Shell
from etl.wording import format_count, format_time

if TYPE_CHECKING:
    from etl.sync.walk import Step

OnStep = Callable[[str, "Step"], None]
CLOCK_TOLERANCE = timedelta(minutes=5)


@dataclass(slots=True)
class ClockWatch:
    """How far the clock here is ahead of each source's server, as its first page shows."""

    clock: Callable[[], datetime]
    ahead: dict[str, timedelta] = field(default_factory=dict)

    def __call__(self, source: str, step: "Step") -> None:
        if source not in self.ahead and step.page.served_at is not None:
            self.ahead[source] = self.clock() - step.page.served_at

    def list_warnings(self) -> list[tuple[str, str]]:
        """Source and warning for each clock that is too far from ours."""
        return [
            (source, f"{source}: {warning}")
            for source, ahead in self.ahead.items()
            if (warning := describe_clock(ahead)) is not None
        ]


def describe_clock(ahead: timedelta) -> str | None:
    """What to say of a clock this far ahead of the server's; None if that is close enough."""
    if abs(ahead) <= CLOCK_TOLERANCE:
        return None
    side = "ahead of" if ahead > timedelta() else "behind"
    return (
        f"the clock here is {round(abs(ahead).total_seconds())} s {side} the server's; "
        "set it right: coverage ends where the earlier of the two stands"
    )


@contextlib.contextmanager
def show_progress(shell: Shell, totals: Mapping[str, int]) -> Iterator[OnStep]:
    """What to tell of each page. `totals`: the records to expect by source, where known."""
    if not sys.stderr.isatty() or shell.log_format == "json":
        yield lambda source, step: None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        SpinnerColumn,
        Task,
        TextColumn,
        TimeElapsedColumn,
    )

    with Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        TextColumn("{task.fields[records]} records"),
        TextColumn("{task.fields[place]}", style="dim"),
        TimeElapsedColumn(),
        console=Console(stderr=True),
    ) as progress:
        tasks: dict[str, Task] = {}

        def show(source: str, step: "Step") -> None:
            if source not in tasks:
                number = progress.add_task(source, total=totals.get(source), records="0", place="")
                tasks[source] = next(task for task in progress.tasks if task.id == number)
            count = int(tasks[source].completed) + len(step.page.records)
            progress.update(
                tasks[source].id,
                completed=count,
                records=format_count(count),
                place=format_time(step.progress.tail),
            )

        yield show
        for task in tasks.values():
            progress.update(task.id, total=task.completed)
