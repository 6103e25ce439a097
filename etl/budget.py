"""Time that may be spent, and the one place that sleeps.

A budget ends when its deadline passes or when somebody asks the run to stop (a signal). Whoever
waits, for a `Retry-After` or for a lock, waits through the budget and so wakes up in both cases.
"""

import threading
import time
from dataclasses import dataclass, field


class BudgetEnded(Exception):
    """The run may go on no longer; not an error: what was fetched is kept, the rest comes later."""


@dataclass(frozen=True, slots=True)
class Budget:
    """How long a run may go on. `deadline_s` is a `time.monotonic` reading, None: no limit."""

    deadline_s: float | None = None
    stop: threading.Event = field(default_factory=threading.Event)

    def remaining_s(self) -> float:
        """Seconds left; infinite without a deadline, never negative."""
        if self.stop.is_set():
            return 0.0
        if self.deadline_s is None:
            return float("inf")
        return max(0.0, self.deadline_s - time.monotonic())

    def is_over(self) -> bool:
        return self.remaining_s() <= 0.0

    def wait(self, seconds: float) -> None:
        """Sleep for `seconds`; raise BudgetEnded at once if they do not fit the budget.

        A stop request cuts the sleep short and raises BudgetEnded, too.
        """
        if seconds >= self.remaining_s():
            raise BudgetEnded(f"a wait of {seconds:.1f} s does not fit the time budget")
        if self.stop.wait(seconds):
            raise BudgetEnded("asked to stop")

    def pause(self, seconds: float) -> None:
        """Sleep for `seconds`, also when the budget is over: what was fetched is still stored."""
        time.sleep(seconds)


def start_budget(max_seconds: float | None) -> Budget:
    """A budget of `max_seconds` from now, or without a deadline."""
    deadline_s = None if max_seconds is None else time.monotonic() + max_seconds
    return Budget(deadline_s)
