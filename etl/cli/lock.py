"""One sync per store."""

import contextlib
import os
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from etl.errors import AlreadyRunning, StoreError


@contextlib.contextmanager
def hold_lock(store: Path, now: datetime) -> Iterator[None]:
    """Be the only sync of a store; raises AlreadyRunning at once if there is another one.

    The lock is the operating system's and ends with its process, however that ends. The file
    beside the store stays; it says who holds it.
    """
    from filelock import FileLock, Timeout

    path = store.with_name(store.name + ".lock")
    holder = _read_holder(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path)
        lock.acquire(timeout=0)
    except Timeout:
        raise AlreadyRunning(
            f"{store}: another sync of this store is running{_read_holder(path) or holder}"
        ) from None
    except OSError as error:
        raise StoreError(f"{path}: cannot lock the store: {error.strerror}") from None
    try:
        _write_holder(path, store, now)
        yield
    finally:
        with contextlib.suppress(OSError):
            os.truncate(path, 0)
        lock.release()


def _write_holder(path: Path, store: Path, now: datetime) -> None:
    # On a full disk the store has the better explanation.
    with contextlib.suppress(OSError):
        path.write_text(
            f"{os.getpid()}\nThis process syncs {store.name} since {now:%Y-%m-%d %H:%M:%S} UTC. "
            "The lock ends with it; the file may stay.\n",
            encoding="utf-8",
        )


def _read_holder(path: Path) -> str:
    """` (process 123)`, or nothing where the lock file does not name a living process."""
    try:
        process_id = int(path.read_text(encoding="utf-8").partition("\n")[0])
    except (OSError, ValueError):
        return ""
    try:
        os.kill(process_id, 0)
    except PermissionError:
        return f" (process {process_id})"
    except (OSError, OverflowError):
        return ""
    return f" (process {process_id})"
