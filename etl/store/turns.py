"""A writer that waits is let in before readers that come later.

DuckDB lets in readers as long as there are any, so that a few busy ones could keep a writer out for
ever. A writer that finds the store in use locks the store's folder until it is in; a reader that
begins meanwhile waits. The lock is the operating system's and ends with its process. Readers of
other programs know nothing of it: for them there is the published copy.
"""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

try:
    import fcntl
except ImportError:
    # Windows has none: whoever comes first is served first. To mypy the name is always a module.
    fcntl = None  # type: ignore[assignment]


@contextlib.contextmanager
def open_folder(path: Path) -> Iterator[int]:
    """A descriptor of the folder that a store is in; -1 where it cannot be opened."""
    folder = -1
    with contextlib.suppress(OSError):
        folder = os.open(path.parent, os.O_RDONLY)
    try:
        yield folder
    finally:
        if folder >= 0:
            os.close(folder)


def claim_turn(folder: int) -> bool:
    """Ask for the next turn on behalf of a writer; whether nobody else has it.

    It may be asked for again and again, and is given back when the folder is closed.
    """
    return _lock(folder, is_alone=True)


def may_begin(folder: int) -> bool:
    """Whether no writer is waiting for its turn."""
    if not _lock(folder, is_alone=False):
        return False
    _unlock(folder)
    return True


def _lock(folder: int, is_alone: bool) -> bool:
    """Lock without waiting; true also where folders cannot be locked at all."""
    if fcntl is None or folder < 0:
        return True
    try:
        fcntl.flock(folder, (fcntl.LOCK_EX if is_alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def _unlock(folder: int) -> None:
    if fcntl is not None and folder >= 0:
        with contextlib.suppress(OSError):
            fcntl.flock(folder, fcntl.LOCK_UN)
