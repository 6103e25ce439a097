"""What was measured: a name, and a value per round."""

import statistics
from dataclasses import dataclass

HEAD = f"{'what':58} {'median':>10} {'least':>10} {'most':>10}"


@dataclass(frozen=True)
class Figure:
    """One line of the table. `notes` are figures of the same rounds, already medians."""

    what: str
    unit: str
    values: list[float]
    notes: str = ""

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    def __str__(self) -> str:
        numbers = (self.median, min(self.values), max(self.values))
        columns = " ".join(f"{number:>10,.2f}" for number in numbers)
        return f"{self.what:58} {columns} {self.unit:3} {self.notes}".rstrip()
