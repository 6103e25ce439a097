"""The store itself, rewritten without the room that deleted and changed rows have left."""

from pathlib import Path

from etl.budget import Budget
from etl.errors import StoreError
from etl.store.connect import open_writer
from etl.store.copy import explain_os_errors, remove_leftovers, replace_with_copy


def compact(store: Path, budget: Budget) -> tuple[int, int]:
    """Replace the store by a compacted copy of itself; its bytes before and after.

    The caller holds the lock of the sync. Readers go on; one that has the old file open keeps it.
    Raises StoreError; the store is as it was then.
    """
    path = store.resolve()
    log = path.with_name(path.name + ".wal")
    with explain_os_errors(path):
        before = path.stat().st_size
        remove_leftovers(path)
    if log.exists():
        # What a killed process left in the log is a part of the store.
        with open_writer(path, budget) as connection:
            connection.execute("CHECKPOINT")

    def check_log(_: object) -> None:
        if log.exists():
            raise StoreError(f"{path}: somebody else has just written to it; try again")

    return before, replace_with_copy(path, path, budget, check_log)
