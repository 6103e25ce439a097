"""When the process is killed."""

from dataclasses import dataclass


class Crash(BaseException):
    """The process is killed."""


@dataclass
class Fate:
    """Killed before the n-th HTTP call of a run, or at its n-th commit boundary, or never.

    A commit has two boundaries: before it, where all of it is lost, and behind it, where the
    process does not live to see that it was made. Whoever is dead does nothing any more.
    """

    http_call: int | None = None
    commit_boundary: int | None = None
    http_calls: int = 0
    commit_boundaries: int = 0
    is_dead: bool = False

    def meet_http_call(self) -> None:
        self.http_calls += 1
        self._meet(self.http_calls == self.http_call)

    def meet_commit_boundary(self) -> None:
        self.commit_boundaries += 1
        self._meet(self.commit_boundaries == self.commit_boundary)

    def check_alive(self) -> None:
        self._meet(False)

    def _meet(self, is_hour: bool) -> None:
        self.is_dead = self.is_dead or is_hour
        if self.is_dead:
            raise Crash
