"""Rows into their tables: once each, in the last version, with their children."""

from collections.abc import Iterator

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etl.coverage import Interval
from etl.pending import PendingRows, number_key
from etl.records import Flat, from_epoch_us
from etl.store.lookup import FEW_BATCHES, LOW_BITS
from etl.store.upsert import Fate, Stamp, upsert_rows
from tests.store.things import JOBS, NOON, THINGS, make_job, make_thing, minute, open_memory, read


@pytest.fixture
def store() -> Iterator[duckdb.DuckDBPyConnection]:
    with open_memory() as connection:
        yield connection


def upsert(
    store: duckdb.DuckDBPyConnection,
    *things: Flat,
    run: int = 1,
    known: dict[str, Interval] | None = None,
    source: str = "lab",
) -> Fate:
    """Upsert one batch; `run` is its run's number and the minute of its clock."""
    pending = PendingRows(THINGS)
    for thing in things:
        pending.add("things", thing, None)
    stamp = Stamp(source, f"run-{run}", minute(run))
    return upsert_rows(store, pending, stamp, known or {}).get("things", Fate())


def counts(fate: Fate) -> tuple[int, int, int]:
    return fate.new, fate.changed, fate.unchanged


def test_new_rows_are_stored_whole(store: duckdb.DuckDBPyConnection) -> None:
    thing = make_thing("a", 0, 3, "v", [("p", 1), ("q", 2)], ["n"], '{"x": [1, null]}', ["t", "u"])

    fate = upsert(store, thing)

    assert counts(fate) == (1, 0, 0)
    assert read(
        store,
        "SELECT id, epoch_us(seen_at), place, value, body, tags, ratio, is_good, stream, extra, "
        "source, sync_run_id FROM lab.things",
    ) == [
        (
            *("a", int(NOON.timestamp() * 1e6), 3, "v", '{"x": [1, null]}', ["t", "u"]),
            *(0.5, True, "things", None, "lab", "run-1"),
        )
    ]
    assert read(
        store,
        "SELECT source, thing_id, epoch_us(thing_seen_at), thing_place, position, name, size "
        "FROM lab.parts ORDER BY position",
    ) == [
        ("lab", "a", int(NOON.timestamp() * 1e6), 3, 0, "p", 1),
        ("lab", "a", int(NOON.timestamp() * 1e6), 3, 1, "q", 2),
    ]
    assert read(store, "SELECT thing_id, position, text FROM lab.notes") == [("a", 0, "n")]


def test_within_a_batch_the_last_version_wins(store: duckdb.DuckDBPyConnection) -> None:
    first = make_thing("a", value="old", parts=[("p", 1)], notes=["gone"])
    last = make_thing("a", value="new", parts=[("q", 2)])

    fate = upsert(store, first, make_thing("b"), last)

    assert counts(fate) == (2, 0, 0)
    assert read(store, "SELECT id, value FROM lab.things ORDER BY id") == [("a", "new"), ("b", "a")]
    assert read(store, "SELECT name, size FROM lab.parts") == [("q", 2)]
    assert read(store, "SELECT * FROM lab.notes") == []


def test_a_changed_row_replaces_its_old_version_and_its_children(
    store: duckdb.DuckDBPyConnection,
) -> None:
    upsert(store, make_thing("a", value="old", parts=[("p", 1), ("q", 2)], notes=["n"]), run=1)

    fate = upsert(store, make_thing("a", value="new", parts=[("r", 3)]), run=2)

    assert counts(fate) == (0, 1, 0)
    assert read(store, "SELECT id, value, sync_run_id FROM lab.things") == [("a", "new", "run-2")]
    assert read(store, "SELECT name, position FROM lab.parts") == [("r", 0)]
    assert read(store, "SELECT * FROM lab.notes") == []


def test_a_change_in_a_child_alone_is_a_change(store: duckdb.DuckDBPyConnection) -> None:
    upsert(store, make_thing("a", parts=[("p", 1)]))

    fate = upsert(store, make_thing("a", parts=[("p", 2)]))

    assert counts(fate) == (0, 1, 0)
    assert read(store, "SELECT size FROM lab.parts") == [(2,)]


def test_children_that_are_gone_are_gone(store: duckdb.DuckDBPyConnection) -> None:
    upsert(store, make_thing("a", parts=[("p", 1)]), make_thing("b", parts=[("p", 1)]))

    upsert(store, make_thing("a"))

    assert read(store, "SELECT thing_id FROM lab.parts") == [("b",)]


def test_when_a_row_was_first_seen_survives_its_changes(store: duckdb.DuckDBPyConnection) -> None:
    upsert(store, make_thing("a", value="1"), run=1)
    upsert(store, make_thing("a", value="2"), run=2)
    upsert(store, make_thing("a", value="3"), run=3)

    assert read(
        store, "SELECT first_synced_at::VARCHAR, synced_at::VARCHAR, sync_run_id FROM lab.things"
    ) == [("2026-03-01 12:01:00+00", "2026-03-01 12:03:00+00", "run-3")]


def test_an_unchanged_row_is_not_written_again(store: duckdb.DuckDBPyConnection) -> None:
    thing = make_thing("a", parts=[("p", 1)])
    upsert(store, thing, run=1)

    fate = upsert(store, thing, make_thing("b"), run=2)

    assert counts(fate) == (1, 0, 1)
    assert read(store, "SELECT id, sync_run_id FROM lab.things ORDER BY id") == [
        ("a", "run-1"),
        ("b", "run-2"),
    ]
    assert read(store, "SELECT count(*) FROM lab.parts") == [(1,)]


def test_every_part_of_a_key_counts(store: duckdb.DuckDBPyConnection) -> None:
    things = [make_thing("a", 0, 0), make_thing("a", 0, 1), make_thing("a", 1, 0), make_thing("b")]
    upsert(store, *things)

    fate = upsert(store, *things, make_thing("a", 1, 1))

    assert counts(fate) == (1, 0, 4)
    changed = upsert(store, make_thing("a", 1, 0, "new", notes=["n"]))
    assert counts(changed) == (0, 1, 0)
    assert read(store, "SELECT count(*), count(*) FILTER (value = 'new') FROM lab.things") == [
        (5, 1)
    ]


def test_keys_are_not_matched_crosswise(store: duckdb.DuckDBPyConnection) -> None:
    """Of the keys (a, 0) and (b, 1), neither is (a, 1)."""
    upsert(store, make_thing("a", 0, 1, "keep"), make_thing("b", 0, 0, "keep"))

    upsert(store, make_thing("a", 0, 0), make_thing("b", 0, 1))

    assert read(store, "SELECT id, place FROM lab.things WHERE value = 'keep' ORDER BY ALL") == [
        ("a", 1),
        ("b", 0),
    ]


@pytest.mark.parametrize("id", ["", "'", '"', "a\\b", "ünï/😀", "a\nb", "a\x00b", "NULL", "a,b"])
def test_an_id_may_be_any_text(store: duckdb.DuckDBPyConnection, id: str) -> None:
    upsert(store, make_thing(id, parts=[("p", 1)]))

    fate = upsert(store, make_thing(id, value="new", parts=[("q", 1)]))

    assert counts(fate) == (0, 1, 0)
    assert read(store, "SELECT id, value, name FROM lab.things, lab.parts") == [(id, "new", "q")]


def test_times_are_exact_to_the_microsecond(store: duckdb.DuckDBPyConnection) -> None:
    tick = 1 / 60_000_000
    upsert(store, make_thing("a", 0), make_thing("a", tick))

    fate = upsert(store, make_thing("a", tick, value="new"))

    assert counts(fate) == (0, 1, 0)
    assert read(store, "SELECT epoch_us(seen_at) % 1000000, value FROM lab.things ORDER BY 1") == [
        (0, "a"),
        (1, "new"),
    ]


def test_the_same_key_in_another_source_is_another_row(store: duckdb.DuckDBPyConnection) -> None:
    upsert(store, make_thing("a", parts=[("p", 1)]), source="lab")

    fate = upsert(store, make_thing("a", value="new"), source="other")

    assert counts(fate) == (1, 0, 0)
    assert read(store, "SELECT source, value FROM lab.things ORDER BY source") == [
        ("lab", "a"),
        ("other", "new"),
    ]
    assert read(store, "SELECT source FROM lab.parts") == [("lab",)]


def test_the_time_bound_never_leaves_an_old_copy(store: duckdb.DuckDBPyConnection) -> None:
    """Rows at both ends of the batch's time range are looked for, too."""
    upsert(store, *[make_thing(str(n), n) for n in range(10)])

    fate = upsert(store, *[make_thing(str(n), n, value="new") for n in (3, 5, 7)])

    assert counts(fate) == (0, 3, 0)
    assert read(store, "SELECT count(*), count(DISTINCT id) FROM lab.things") == [(10, 10)]


def upsert_jobs(
    store: duckdb.DuckDBPyConnection, *ids: str, at: float = 0, value: str = "v"
) -> Fate:
    """Upsert jobs, whose time may change: they are found by the numbers of their ids."""
    pending = PendingRows(JOBS)
    for id in ids:
        pending.add("jobs", make_job(id, at, value), None)
    return upsert_rows(store, pending, Stamp("lab", "run", NOON), {})["jobs"]


@pytest.fixture(params=[0, FEW_BATCHES], ids=["many", "few"])
def rows_there(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the table were large: then numbers are looked at before ids are."""
    monkeypatch.setattr("etl.store.lookup.FEW_BATCHES", request.param)


@pytest.mark.usefixtures("rows_there")
@pytest.mark.parametrize("id", ["a", "scheduled__2026-03-01T00:00:00+00:00"])
def test_a_row_whose_time_moves_is_found_wherever_it_was(
    store: duckdb.DuckDBPyConnection, id: str
) -> None:
    upsert_jobs(store, id, at=0)

    assert counts(upsert_jobs(store, id, at=9_000)) == (0, 1, 0)
    assert counts(upsert_jobs(store, id, at=-9_000)) == (0, 1, 0)
    assert counts(upsert_jobs(store, id, at=-9_000)) == (0, 0, 1)
    assert read(store, "SELECT count(*) FROM lab.jobs") == [(1,)]


@pytest.mark.usefixtures("rows_there")
def test_ids_with_a_time_and_others_are_found_in_one_batch(
    store: duckdb.DuckDBPyConnection,
) -> None:
    times = [f"run__2026-03-{day:02d}T00:00:00" for day in (1, 2, 3, 30)]
    upsert_jobs(store, "a", "b", "c", *times)

    fate = upsert_jobs(store, "b", "d", times[1], times[3], "run__2026-03-09T00:00:00", value="w")

    assert counts(fate) == (2, 3, 0)
    assert read(store, "SELECT count(*), count(DISTINCT id) FROM lab.jobs") == [(9, 9)]
    assert read(store, "SELECT id FROM lab.jobs WHERE value = 'v' ORDER BY id") == [
        *(("a",), ("c",), (times[0],), (times[2],))
    ]


@pytest.mark.usefixtures("rows_there")
def test_ids_of_one_time_are_kept_apart(store: duckdb.DuckDBPyConnection) -> None:
    upsert_jobs(store, "x__2026-03-01T00:00:00", "y__2026-03-01T00:00:00")

    fate = upsert_jobs(store, "y__2026-03-01T00:00:00", "z__2026-03-01T00:00:00", value="w")

    assert counts(fate) == (1, 1, 0)
    assert read(store, "SELECT id FROM lab.jobs WHERE value = 'v'") == [("x__2026-03-01T00:00:00",)]


@pytest.mark.usefixtures("rows_there")
def test_ids_whose_numbers_end_alike_are_kept_apart(store: duckdb.DuckDBPyConnection) -> None:
    """Numbers are compared by some of their bits first."""
    seen: dict[int, str] = {}
    for id in map(str, range(100_000)):
        one = seen.setdefault(number_key(id) & LOW_BITS, id)
        if one != id:
            break
    upsert_jobs(store, one)

    assert counts(upsert_jobs(store, id)) == (1, 0, 0)
    assert counts(upsert_jobs(store, one, id)) == (0, 0, 2)


@pytest.mark.usefixtures("rows_there")
def test_a_job_of_another_source_is_another_one(store: duckdb.DuckDBPyConnection) -> None:
    upsert_jobs(store, "a")
    store.execute("UPDATE lab.jobs SET source = 'other'")

    assert counts(upsert_jobs(store, "a", value="w")) == (1, 0, 0)
    assert read(store, "SELECT source, value FROM lab.jobs ORDER BY ALL") == [
        ("lab", "w"),
        ("other", "v"),
    ]


def test_child_rows_go_whenever_they_came(store: duckdb.DuckDBPyConnection) -> None:
    """Each with its parent, of which some came in other batches; the others' stay."""
    for run, id in enumerate("abcd"):
        upsert(store, make_thing(id, parts=[(id, 1)]), run=run)
    upsert(store, make_thing("b", parts=[("B", 1)]), run=9)

    upsert(store, make_thing("a", value="new"), make_thing("b"), make_thing("c"), run=10)

    assert read(store, "SELECT thing_id, name FROM lab.parts") == [("d", "d")]


def test_a_new_row_inside_of_what_was_known_came_late(store: duckdb.DuckDBPyConnection) -> None:
    known = {"things": Interval(minute(0), minute(10))}
    upsert(store, make_thing("old", 5))

    def late_from(*minutes: float) -> object:
        things = [make_thing(f"new-{m}", m) for m in minutes]
        return upsert(store, *things, make_thing("old", 5), known=known).late_from

    assert late_from(10) is None, "the upper end is open"
    assert late_from(-1) is None, "older history is not late"
    assert late_from(9, 4, 7) == minute(4)
    assert late_from(0) == minute(0)


def test_rows_of_several_streams_are_counted_by_stream(store: duckdb.DuckDBPyConnection) -> None:
    pending = PendingRows(THINGS)
    for stream, id in (("x", "a"), ("x", "b"), ("y", "c")):
        pending.add(stream, make_thing(id), None)

    fates = upsert_rows(store, pending, Stamp("lab", "run", NOON), {})

    assert {stream: counts(fate) for stream, fate in fates.items()} == {
        "x": (2, 0, 0),
        "y": (1, 0, 0),
    }


def test_nothing_to_write_is_nothing_written(store: duckdb.DuckDBPyConnection) -> None:
    assert upsert_rows(store, PendingRows(THINGS), Stamp("lab", "run", NOON), {}) == {}


versions = st.builds(
    make_thing,
    st.sampled_from("abc"),
    st.integers(0, 2),
    st.integers(0, 1),
    st.sampled_from(["x", "y", None]),
    st.lists(st.tuples(st.sampled_from("pq"), st.integers(0, 1)), max_size=2),
)


def test_any_batches_leave_the_last_version_of_each_record(
    store: duckdb.DuckDBPyConnection,
) -> None:
    """Against a dict: rows, children, counts, and when a row was first and last written."""

    @settings(max_examples=40)
    @given(st.lists(st.lists(versions, max_size=6), min_size=2, max_size=4))
    def check(batches: list[list[Flat]]) -> None:
        for table in ("things", "parts", "notes"):
            store.execute(f"TRUNCATE lab.{table}")
        expected: dict[tuple[object, ...], tuple[Flat, int, int]] = {}
        for run, batch in enumerate(batches):
            assert counts(upsert(store, *batch, run=run)) == play(expected, batch, run)
        assert read_things(store) == sorted(
            (t.row[0], t.row[1], t.row[2], t.row[3] or "", minute(first), minute(last))
            for t, first, last in expected.values()
        )
        assert read_parts(store) == sorted(
            (t.row[0], t.row[1], t.row[2], t.children[0])
            for t, _, _ in expected.values()
            if t.children
        )

    check()


def play(
    expected: dict[tuple[object, ...], tuple[Flat, int, int]], batch: list[Flat], run: int
) -> tuple[int, int, int]:
    """Bring a dict of records up to date: version, first and last run; new, changed, unchanged."""
    new = changed = unchanged = 0
    for key, thing in {thing.row[:3]: thing for thing in batch}.items():
        before = expected.get(key)
        if before is None:
            new += 1
        elif before[0] == thing:
            unchanged += 1
            continue
        else:
            changed += 1
        expected[key] = (thing, before[1] if before else run, run)
    return new, changed, unchanged


def read_things(store: duckdb.DuckDBPyConnection) -> list[tuple[object, ...]]:
    rows = read(
        store,
        "SELECT id, epoch_us(seen_at), place, coalesce(value, ''), epoch_us(first_synced_at), "
        "epoch_us(synced_at) FROM lab.things",
    )
    return sorted(
        (id, from_epoch_us(seen), place, value, from_epoch_us(first), from_epoch_us(last))
        for id, seen, place, value, first, last in rows
    )


def read_parts(store: duckdb.DuckDBPyConnection) -> list[tuple[object, ...]]:
    rows = read(
        store,
        "SELECT thing_id, epoch_us(thing_seen_at), thing_place, "
        "list((name, size) ORDER BY position) FROM lab.parts GROUP BY ALL",
    )
    return sorted((id, from_epoch_us(seen), place, parts) for id, seen, place, parts in rows)
