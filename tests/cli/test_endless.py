"""A list that has no end: the walk has one, and it holds no more at its end than in its middle."""

import gc
from dataclasses import dataclass, field
from datetime import timedelta
from email.utils import format_datetime

import httpx
import pytest

from etl.records import Page
from etl.sync.pump import QUEUE_PAGES
from tests.cli.stage import CONFIG, NOW, START, Stage, make_record

PAGE_ROWS = 3
PAGES_MAX = 300


def count_pages() -> int:
    """The pages that somebody holds."""
    return sum(type(thing) is Page for thing in gc.get_objects())


@dataclass
class EndlessApi:
    """Ever older executions, one a minute, each page after the one before; `alive` counts pages.

    `is_stuck`: they all have one time, so that nothing is ever known.
    """

    is_stuck: bool = False
    asked: list[int] = field(default_factory=list)
    alive: list[int] = field(default_factory=list)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        number = int(request.url.params.get("starting_after", "exec0")[4:])
        self.asked.append(number)
        if len(self.asked) % 50 == 0:
            self.alive.append(count_pages())
        records = [self.make(number + step) for step in range(1, PAGE_ROWS + 1)]
        headers = {"Date": format_datetime(NOW, usegmt=True)}
        return httpx.Response(200, json={"data": records}, headers=headers)

    def make(self, number: int) -> dict[str, object]:
        age = timedelta(0) if self.is_stuck else timedelta(minutes=number)
        return make_record(0, id=f"exec{number}", started_at=(START - age).isoformat())


@pytest.mark.parametrize("is_stuck", [False, True], ids=["ever older", "all at one time"])
def test_a_list_without_an_end_is_one_line_and_bounded_memory(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, is_stuck: bool
) -> None:
    monkeypatch.setattr("etl.sync.walk.PAGES_MAX", PAGES_MAX)
    stage.configure(f"[sync]\nbatch_rows = 150\n{CONFIG}page_size = {PAGE_ROWS}\n")
    api = EndlessApi(is_stuck)
    gc.collect()
    before = count_pages()

    result = stage.but(handler=api).run("sync")

    assert result.exit_code == 4
    assert result.stderr == (
        f"etl: error: interpreter: more than {PAGES_MAX} pages in one walk; what came is kept, "
        "the next run goes on behind it\n"
    )
    assert PAGES_MAX < len(api.asked) < PAGES_MAX + 10
    assert len(stage.list_ids()) == PAGE_ROWS * len(api.asked)
    assert len(api.alive) == PAGES_MAX // 50
    assert max(api.alive) - before <= QUEUE_PAGES + 8


def test_the_next_run_goes_on_behind_what_came(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("etl.sync.walk.PAGES_MAX", PAGES_MAX // 4)
    stage.configure(f"{CONFIG}page_size = {PAGE_ROWS}\n")
    api = EndlessApi()

    codes = [stage.but(handler=api).run("sync").exit_code for _ in range(3)]

    assert codes == [4, 4, 4]
    stored = len(stage.list_ids())
    assert stored > 3 * PAGE_ROWS * PAGES_MAX // 4
    assert stored == max(api.asked) + PAGE_ROWS
