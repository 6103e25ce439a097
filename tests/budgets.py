"""Budgets that do not sleep."""

from etl.budget import Budget, BudgetEnded


class RecordingBudget(Budget):
    """A budget that notes each wait instead of sleeping; `left_s` is what it has, None: no end."""

    __slots__ = ("left_s", "waits")

    waits: list[float]
    left_s: float | None

    def __init__(self, left_s: float | None = None) -> None:
        super().__init__()
        object.__setattr__(self, "waits", [])
        object.__setattr__(self, "left_s", left_s)

    def remaining_s(self) -> float:
        if self.stop.is_set():
            return 0.0
        return float("inf") if self.left_s is None else max(0.0, self.left_s - sum(self.waits))

    def wait(self, seconds: float) -> None:
        if seconds >= self.remaining_s():
            raise BudgetEnded(f"{seconds} s do not fit")
        self.waits.append(seconds)
