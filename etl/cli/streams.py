"""stdin, stdout and stderr as they were handed over: closed, on a full disk, in any encoding."""

import contextlib
import errno
import io
import os
import sys

FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""Why nothing more can be written, and no bug."""


def prepare_streams() -> None:
    """Open what is closed, and let no character stop a line.

    The next file that is opened would else have the number of a stream, and it may be the store.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            # The lowest number that is free: this one.
            os.open(os.devnull, os.O_RDWR)
    for name, number in (("stdout", 1), ("stderr", 2)):
        if getattr(sys, name) is None:
            setattr(sys, name, io.TextIOWrapper(io.FileIO(number, "w", closefd=False)))
        stream = getattr(sys, name)
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def silence(number: int) -> None:
    """Send what is still to be written to a stream nowhere: the end of the process would fail."""
    with contextlib.suppress(OSError, ValueError):
        stream = (sys.stdin, sys.stdout, sys.stderr)[number]
        if stream.fileno() == number:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, number)
            os.close(nowhere)
