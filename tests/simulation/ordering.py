"""How an API sorts its list."""

from tests.simulation.world import Record, World


def sort_records(world: World, order: str) -> list[Record]:
    """What is visible, newest or oldest first; those of one time by their ids."""
    is_descending = order == "descending"
    return sorted(world.list_visible(), key=lambda r: (r.started_at, r.id), reverse=is_descending)
