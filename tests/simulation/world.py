"""A world that does not stand still: an account of executions that come, go, change and are late.

Everything is drawn from one seeded generator, so that a seed is a schedule.
"""

import random
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

START = datetime(2026, 3, 1, tzinfo=UTC)


@dataclass(slots=True)
class Record:
    """One execution as the platform knows it; `version` counts its changes."""

    id: str
    number: int
    started_at: datetime
    updated_at: datetime
    visible_at: datetime
    version: int = 0
    is_open: bool = False

    @property
    def is_late(self) -> bool:
        return self.visible_at > self.started_at


@dataclass
class Habits:
    """What happens in a world, as chances per request.

    `late_max`: how long after its start a record may appear. `reopen_max`: how long after its
    start one that ended may be run again. `retention`: after which time the platform forgets.
    """

    insert: float = 0.3
    delete: float = 0.05
    change: float = 0.0
    late: float = 0.0
    late_max: timedelta = timedelta(0)
    tie: float = 0.3
    open: float = 0.0
    reopen_max: timedelta = timedelta.max
    retention: timedelta | None = None


@dataclass
class World:
    """The account: `records` by id, and a clock that moves with every request.

    `created_max`: one that grew faster than it can be walked would be walked for ever.
    """

    chance: random.Random
    habits: Habits
    now: datetime = START
    records: dict[str, Record] = field(default_factory=dict)
    created: int = 0
    created_max: int = 60
    is_calm: bool = False

    def populate(self, count: int) -> None:
        for _ in range(count):
            self.now += timedelta(seconds=self.chance.choice((0, 1, 30, 600)))
            self.insert()
        self.now += timedelta(hours=1)

    def tick(self) -> None:
        """Let time pass, and unless the world is calm, things happen."""
        self.now += timedelta(microseconds=self.chance.randrange(1, 20_000_000))
        if self.is_calm:
            return
        habits = self.habits
        while self.created < self.created_max and self.chance.random() < habits.insert:
            self.insert()
        if self.chance.random() < habits.delete:
            self.delete()
        while self.chance.random() < habits.change:
            self.change()
        self.forget()

    def insert(self) -> None:
        """New executions, several at the very same time now and then, or shown only later."""
        self._insert_one()
        while self.chance.random() < self.habits.tie:
            self._insert_one()

    def _insert_one(self) -> None:
        visible = self.now
        if self.chance.random() < self.habits.late:
            visible += self.chance.random() * self.habits.late_max
        self.created += 1
        record = Record(
            f"{self.chance.randrange(16**6):06x}-{self.created:04d}",
            self.created,
            self.now,
            self.now,
            visible,
            is_open=self.chance.random() < self.habits.open,
        )
        self.records[record.id] = record

    def delete(self) -> None:
        """One record goes: at the head of the list, in its middle or in its tail."""
        if self.records:
            del self.records[self.chance.choice(list(self.records))]

    def change(self) -> None:
        """A record that is open ends, or one that ended is run again."""
        candidates = [
            r
            for r in self.list_visible()
            if r.is_open or self.now - r.started_at < self.habits.reopen_max
        ]
        if candidates:
            record = self.chance.choice(candidates)
            record.version += 1
            record.updated_at = self.now
            if self.habits.open:
                record.is_open = not record.is_open

    def forget(self) -> None:
        """The old end of the list vanishes, where the platform keeps only so much."""
        if self.habits.retention is not None:
            oldest = self.now - self.habits.retention
            for record in [r for r in self.records.values() if r.started_at < oldest]:
                del self.records[record.id]

    def settle(self) -> None:
        """Nothing happens any more, and whatever is late or open has come to its end."""
        self.is_calm = True
        latest = max((r.visible_at for r in self.records.values()), default=self.now)
        self.now = max(self.now, latest) + timedelta(minutes=1)

    def list_visible(self) -> list[Record]:
        return [r for r in self.records.values() if r.visible_at <= self.now]
