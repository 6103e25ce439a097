"""What must be true of a store: after every run, and at the end."""

from datetime import datetime, timedelta
from itertools import pairwise

from etl.coverage import Ledger, find_gaps
from etl.records import EPOCH
from tests.simulation.scenes import Scene
from tests.simulation.watched import Snapshot, Watched
from tests.simulation.world import Record


def check_claims(scene: Scene, seen: Snapshot) -> None:
    """Nothing twice, no child alone, nothing back, all counted, and what is claimed is stored."""
    assert not seen.faults, seen.faults
    records = [record for record in scene.world.list_visible() if scene.is_wanted(record)]
    for look in scene.watched:
        ledger = seen.ledgers.get(look.stream, ())
        assert all(i.since < i.until for i in ledger), ledger
        assert all(left.until < right.since for left, right in pairwise(ledger)), ledger
        if scene.pruned_before is None and look.table.ousted_when is None:
            _check_counted(look, seen)
        for record in records:
            if _is_pruned(scene, look, record):
                _check_gone(scene, look, record, seen)
            elif not record.is_late and _is_covered(ledger, look.key_time(record)):
                _check_stored(look, record, seen, look.does_claim_version)


def check_end(scene: Scene, seen: Snapshot, settled_at: datetime) -> None:
    """The store is the API, in the version last served, and the ledger has no hole."""
    since = max(scene.config.since or EPOCH, scene.pruned_before or EPOCH)
    for look in scene.watched:
        for record in scene.world.list_visible():
            if scene.is_wanted(record) and look.key_time(record) >= since:
                _check_stored(look, record, seen, is_exact=True)
        holes = find_gaps(seen.ledgers[look.stream], since, settled_at - timedelta(seconds=1))
        assert not holes, f"the ledger has a hole after a complete run: {holes}"


def _check_counted(look: Watched, seen: Snapshot) -> None:
    """The runs account for each row: their counters were committed with it."""
    counted, stored = seen.counted.get(look.stream, 0), len(seen.rows[look.stream])
    assert counted == stored, f"{look.stream}: {stored} rows, {counted} of them counted"


def _is_covered(ledger: Ledger, time: datetime) -> bool:
    return any(interval.since <= time < interval.until for interval in ledger)


def _is_pruned(scene: Scene, look: Watched, record: Record) -> bool:
    return scene.pruned_before is not None and look.key_time(record) < scene.pruned_before


def _check_gone(scene: Scene, look: Watched, record: Record, seen: Snapshot) -> None:
    """What was pruned stays away, unless somebody asked for it by its id."""
    names = [expected.name for expected in look.expect(record)]
    is_back = any(name in seen.rows[look.stream] for name in names)
    assert not is_back or record.id in scene.fetched, f"{record} was pruned and is back"


def _check_stored(look: Watched, record: Record, seen: Snapshot, is_exact: bool) -> None:
    held = seen.rows[look.stream]
    for expected in look.expect(record):
        assert expected.name in held, f"{look.stream}: {record} is not stored"
        version = look.read_version(held[expected.name].version)
        children = held[expected.name].children
        is_same = (version, children) == (expected.version, expected.children)
        assert is_same or not is_exact, (
            f"{look.stream}: {record} is stale: version {version}, {children} child rows"
        )
    if is_exact:
        for name in look.forbid(record):
            assert name not in held, f"{look.stream}: {name} should be replaced"
