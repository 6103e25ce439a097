"""SIGTERM and Ctrl-C end a sync in order: what was fetched is committed first."""

import contextlib
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from types import FrameType

from etl.budget import Budget

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@dataclass(slots=True)
class Caught:
    """The signal that asked to stop, if one did."""

    number: int | None = None

    @property
    def exit_code(self) -> int:
        """What a shell expects of a process that a signal ended; 0 without one."""
        return 0 if self.number is None else 128 + self.number


@contextlib.contextmanager
def stop_on_signals(budget: Budget) -> Iterator[Caught]:
    """Let the first signal end the budget, and a second one the process, as if there were none."""
    caught = Caught()
    before = {number: signal.getsignal(number) or signal.SIG_DFL for number in STOP_SIGNALS}

    def stop(number: int, frame: FrameType | None) -> None:
        caught.number = number
        budget.stop.set()
        for other in STOP_SIGNALS:
            signal.signal(other, signal.SIG_DFL)

    for number in STOP_SIGNALS:
        signal.signal(number, stop)
    try:
        yield caught
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
