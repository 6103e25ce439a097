"""What can go wrong, each with the exit code of the command line.

    EtlError
    ├── ConfigError        2  the configuration or the command is wrong
    ├── CredentialsError   3  the API refused the token (401, 403)
    ├── SourceError        4  the API is unreachable or keeps failing
    │   ├── RequestRefused    the API answered 3xx or 4xx: asking again would not help
    │   ├── PositionLost      the server no longer knows where the walk stands: seek again
    │   └── GapTooLarge       the server cannot answer for so much at once: ask for less
    ├── AlreadyRunning     5  another sync of this store is running
    ├── StoreError         6  the store is locked, damaged or out of space
    ├── QuarantineExceeded 7  more records were quarantined than the threshold allows
    └── LagExceeded        8  `status --max-lag`: a stream is behind

Each message is one line for the person who reads it at 3 a.m.: what happened, to which source,
what was kept, what to do.
"""

from typing import Literal

Reach = Literal["request", "stream", "source"]
"""What a failure tells of other requests: nothing, or that those of its stream or of its whole
source would fail, too."""


class EtlError(Exception):
    """An expected error: printed as one line; everything else is a bug and keeps its traceback."""

    exit_code = 1
    reach: Reach = "request"


class ConfigError(EtlError):
    """The configuration, the command or the environment is wrong; nothing was done."""

    exit_code = 2


class CredentialsError(EtlError):
    """The API refused the credentials; asking again would not help."""

    exit_code = 3

    def __init__(self, message: str, reach: Reach = "stream"):
        super().__init__(message)
        self.reach = reach


class SourceError(EtlError):
    """The API could not be reached, kept failing, or broke its own contract."""

    exit_code = 4

    def __init__(self, message: str, reach: Reach = "request"):
        super().__init__(message)
        self.reach = reach


class RequestRefused(SourceError):
    """The API refused a request; `status` is the HTTP status, `detail` what the body said."""

    def __init__(self, message: str, status: int, detail: str = ""):
        super().__init__(message, "stream")
        self.status = status
        self.detail = detail


class PositionLost(SourceError):
    """The server no longer knows the position of a walk; the rest of the gap is sought again."""


class GapTooLarge(SourceError):
    """The server cannot answer for this gap in one walk; it is asked for half of it.

    `is_certain` is False where the server may just as well be down. `is_counted`: it did answer,
    but the gap holds more records than an interruption may cost; smaller pages would not help.
    """

    def __init__(self, message: str, is_certain: bool = True, is_counted: bool = False):
        super().__init__(message)
        self.is_certain = is_certain
        self.is_counted = is_counted


class AlreadyRunning(EtlError):
    """Another sync holds the lock of this store."""

    exit_code = 5


class StoreError(EtlError):
    """The store is locked by somebody else, damaged, too new, or its disk is full."""

    exit_code = 6


class QuarantineExceeded(EtlError):
    """More records could not be understood than the threshold allows; the good ones are kept."""

    exit_code = 7


class LagExceeded(EtlError):
    """A stream is further behind than `status --max-lag` allows."""

    exit_code = 8
