"""A place in a list that is paged by offset, against lists that move between any two requests."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from math import log2

import msgspec
import pytest

from etl.offsets import LIMIT_MIN, OffsetRefused, Place, Rows, find_place, find_start, mark_place
from etl.records import EPOCH, Gap, Order

NOW = datetime(2026, 3, 1, tzinfo=UTC)
NOTHING = msgspec.Raw(b"{}")


@dataclass
class MovingList:
    """Rows by offset; `move` is called before each answer."""

    places: list[Place]
    move: Callable[["MovingList"], None] = lambda listed: None
    offset_max: int = 10**9
    looks: list[tuple[int, int]] = field(default_factory=list)

    def read(self, offset: int, limit: int) -> Rows:
        self.looks.append((offset, limit))
        self.move(self)
        if offset > self.offset_max:
            raise OffsetRefused(f"offset {offset}")
        places = self.places[offset : offset + limit]
        has_more = offset + len(places) < len(self.places)
        return Rows(offset, [NOTHING] * len(places), places, has_more, None)


def at(minute: int) -> datetime:
    return NOW + timedelta(minutes=minute)


def make_places(count: int, order: Order = "descending") -> list[Place]:
    """One row a minute, the name of each telling its minute."""
    places = [Place(str(minute), at(minute)) for minute in range(count)]
    return places[::-1] if order == "descending" else places


def make_gap(order: Order | None, since: datetime = EPOCH, until: datetime = NOW) -> Gap:
    return Gap(since, until, order=order)


def make_edge_gap(order: Order, edge: datetime, rank: int = 0) -> Gap:
    """A gap whose walk begins at `edge` and goes on to the end of the list."""
    if order == "ascending":
        return Gap(edge, at(10**7), order=order, rank=rank)
    return Gap(at(-(10**6)), edge, order=order, rank=rank)


def is_start(rows: Rows, listed: MovingList, gap: Gap) -> bool:
    """Whether the page has the first row of the gap, or something before it."""
    in_gap = [n for n, p in enumerate(listed.places) if p.time and gap.since <= p.time < gap.until]
    return not in_gap or rows.offset <= in_gap[0]


@pytest.mark.parametrize("order", [None, "unordered"])
def test_a_list_of_unknown_order_is_read_from_its_head(order: Order | None) -> None:
    listed = MovingList(make_places(1_000))

    rows = find_start(listed.read, make_gap(order, until=at(500)), 100)

    assert (rows.offset, listed.looks) == (0, [(0, 100)])


def test_the_newest_gap_of_a_list_that_begins_with_the_newest_takes_one_request() -> None:
    listed = MovingList(make_places(1_000))

    rows = find_start(listed.read, make_gap("descending", since=at(900), until=at(2_000)), 100)

    assert (rows.offset, len(listed.looks)) == (0, 1)


@pytest.mark.parametrize("order", ["ascending", "descending"])
@pytest.mark.parametrize("count", [1, 2, 99, 100, 101, 20_000])
def test_the_middle_of_a_list_is_found_in_few_requests(order: Order, count: int) -> None:
    places = make_places(count, order)
    for minute in {0, 1, count // 3, count // 2, count - 1, count, count + 10}:
        listed = MovingList(places)
        gap = make_edge_gap(order, at(minute))

        rows = find_start(listed.read, gap, 100)

        assert is_start(rows, listed, gap)
        assert len(listed.looks) <= 3 + 2 * log2(max(2, count / 100))
        assert sum(limit for _, limit in listed.looks) <= 300 + 2 * len(listed.looks)


@pytest.mark.parametrize("order", ["ascending", "descending"])
def test_a_right_guess_needs_one_request_and_a_wrong_one_only_more_of_them(order: Order) -> None:
    places = make_places(10_000, order)
    edge = at(6_000) if order == "ascending" else at(4_000)
    for rank, most in ((6_000, 1), (5_990, 1), (7_000, 12), (200, 16), (10**6, 30)):
        listed = MovingList(places)
        gap = make_edge_gap(order, edge, rank)

        rows = find_start(listed.read, gap, 100)

        assert is_start(rows, listed, gap)
        assert len(listed.looks) <= most


@pytest.mark.parametrize("order", ["ascending", "descending"])
def test_the_start_is_before_all_rows_of_its_time(order: Order) -> None:
    """Rows of one time may stand in any order: a page must not begin among them."""
    places = [Place(str(n), at(n // 700)) for n in range(7_000)]
    listed = MovingList(places if order == "ascending" else places[::-1])
    gap = make_edge_gap(order, at(4))

    rows = find_start(listed.read, gap, 100)

    assert is_start(rows, listed, gap)


def test_rows_that_cannot_be_read_do_not_mislead_the_search() -> None:
    chance = random.Random(7)
    places = [place if chance.random() < 0.5 else Place(None, None) for place in make_places(2_000)]
    listed = MovingList(places)
    gap = make_gap("descending", until=at(300))

    assert is_start(find_start(listed.read, gap, 20), listed, gap)


def test_offsets_that_the_api_refuses_are_beyond_the_end_of_the_search() -> None:
    listed = MovingList(make_places(10_000), offset_max=2_000)
    near = make_gap("descending", until=at(8_500))
    far = make_gap("descending", until=at(100))

    assert is_start(find_start(listed.read, near, 100), listed, near)
    assert 1_900 <= find_start(listed.read, far, 100).offset <= 2_000


@pytest.mark.parametrize("seed", range(200))
def test_a_list_that_moves_while_it_is_searched_gives_no_page_behind_the_start(seed: int) -> None:
    chance = random.Random(seed)
    order: Order = chance.choice(("ascending", "descending"))
    count = chance.choice((3, 20, 500))

    def move(listed: MovingList) -> None:
        for _ in range(chance.randrange(0, 40)):
            if chance.random() < 0.5 and listed.places:
                del listed.places[chance.randrange(len(listed.places))]
            else:
                time = at(chance.randrange(-10, count + 10))
                listed.places.append(Place(f"new-{chance.random()}", time))
        listed.places.sort(key=lambda p: p.time or NOW, reverse=order == "descending")

    listed = MovingList(make_places(count, order), move)
    edge = at(chance.randrange(-5, count + 5))
    gap = make_edge_gap(order, edge, chance.randrange(0, 2 * count))

    rows = find_start(listed.read, gap, chance.choice((4, 10)))

    assert is_start(rows, listed, gap), f"seed {seed}"


def walk(listed: MovingList, limit: int) -> list[str]:
    """The ids of all rows, in the order in which they were read."""
    rows, first, here, names = listed.read(0, limit), 0, None, []
    while True:
        names += [place.id or "" for place in rows.places[first:]]
        if not rows.has_more:
            return names
        here = mark_place(rows, first, here)
        assert here is not None
        found = find_place(listed.read, here, limit)
        assert found is not None
        rows, first = found


def test_pages_overlap_and_bring_each_row() -> None:
    listed = MovingList(make_places(1_000))

    names = walk(listed, 100)

    assert sorted(set(names), key=int) == [str(n) for n in range(1_000)]
    assert len(listed.looks) == 11
    assert len(names) <= 1_000 + len(listed.looks)


def test_a_page_of_one_time_only_still_gets_ahead() -> None:
    listed = MovingList([Place(str(n), NOW) for n in range(500)])

    names = walk(listed, 20)

    assert sorted(names, key=int) == [str(n) for n in range(500)]


def test_the_smallest_pages_still_get_ahead() -> None:
    listed = MovingList(make_places(50))

    names = walk(listed, LIMIT_MIN)

    assert set(names) == {str(n) for n in range(50)}
    assert len(listed.looks) <= 25


def test_rows_of_one_time_may_change_places_between_two_requests() -> None:
    """As with a database that sorts by time only: a row that changed moves among its equals."""
    chance = random.Random(3)
    places = [Place(str(n), at(-(n // 4))) for n in range(400)]

    def shuffle(listed: MovingList) -> None:
        for start in range(0, 400, 4):
            group = listed.places[start : start + 4]
            chance.shuffle(group)
            listed.places[start : start + 4] = group

    names = walk(MovingList(places, shuffle), 12)

    assert set(names) == {str(n) for n in range(400)}


@pytest.mark.parametrize("seed", range(100))
@pytest.mark.parametrize("order", ["ascending", "descending", "unordered"])
def test_rows_that_come_and_go_leave_no_hole(order: Order, seed: int) -> None:
    """Whatever was there all the time is read."""
    chance = random.Random(f"{order}-{seed}")
    steady = set()

    def move(listed: MovingList) -> None:
        for _ in range(chance.choice((0, 0, 1, 3, 8))):
            if chance.random() < 0.5 and listed.places:
                gone = listed.places.pop(chance.randrange(len(listed.places)))
                steady.discard(gone.id)
            else:
                place = chance.randrange(len(listed.places) + 1)
                listed.places.insert(place, Place(f"new-{chance.random()}", at(0)))

    places = make_places(60, "ascending" if order == "ascending" else "descending")
    if order == "unordered":
        chance.shuffle(places)
    steady |= {place.id for place in places}
    listed = MovingList(places, move)
    rows, first, here, names = listed.read(0, 8), 0, None, set()
    while True:
        names |= {place.id for place in rows.places[first:]}
        if not rows.has_more:
            break
        here = mark_place(rows, first, here)
        assert here is not None
        found = find_place(listed.read, here, 8)
        rows, first = found or (listed.read(0, 8), 0)

    assert steady <= names, f"seed {seed}"


def test_a_walk_does_not_go_back_to_rows_that_came_before_its_place() -> None:
    """They are not read, and in a list of which nothing is known they would look like its order."""
    places = [Place("one", at(0)), Place("two", at(0)), Place("three", at(0)), Place("four", at(0))]
    listed = MovingList(places)
    here = mark_place(listed.read(0, 4))
    assert here is not None
    listed.places[:0] = [Place("newest", at(2)), Place("newer", at(1)), Place("new", at(1))]
    listed.places.append(Place("zero", at(-1)))

    rows, first = find_place(listed.read, here, 4) or (None, 0)
    assert rows is not None
    following = mark_place(rows, first, here)

    assert following is not None
    assert set(following.anchors) <= {"one", "two", "three", "four"}
    assert listed.places[following.offset].id == following.anchors[0]


def test_a_position_is_found_again_pages_away_in_either_direction() -> None:
    for moved in (-150, -15, 0, 15, 150):
        places = make_places(1_000)
        listed = MovingList(places)
        here = mark_place(listed.read(400, 100))
        assert here is not None
        if moved < 0:
            del places[:-moved]
        else:
            places[:0] = [Place(f"new-{n}", at(2_000)) for n in range(moved)]

        found = find_place(listed.read, here, 100)

        assert found is not None
        rows, first = found
        assert rows.places[first].id == str(999 - 499)
        assert len(listed.looks) <= 1 + (1 if moved == 0 else 5)


def test_a_position_whose_last_row_is_gone_is_found_by_the_rows_before_it() -> None:
    listed = MovingList(make_places(100))
    here = mark_place(listed.read(0, 20))
    assert here is not None
    listed.places = [place for place in listed.places if place.id != here.anchors[0]]

    found = find_place(listed.read, here, 20)

    assert found is not None
    rows, first = found
    assert rows.places[first - 1].id == here.anchors[1]


def test_a_position_none_of_whose_rows_is_near_is_lost() -> None:
    listed = MovingList(make_places(100))
    here = mark_place(listed.read(0, 20))
    assert here is not None
    listed.places = make_places(10)

    assert find_place(listed.read, here, 20) is None
    assert len({offset for offset, _ in listed.looks[1:]}) == len(listed.looks) - 1


def test_a_page_without_any_id_has_no_position() -> None:
    assert mark_place(Rows(0, [NOTHING], [Place(None, NOW)], True, None)) is None
