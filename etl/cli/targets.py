"""What a file that was asked for must not be: it would be replaced without a word."""

from pathlib import Path

from etl.cli.shell import Shell
from etl.config import StoreConfig
from etl.errors import ConfigError, StoreError
from etl.store.connect import check_file, find_own_file, is_same_file


def check_copy(shell: Shell, store: StoreConfig, target: Path) -> None:
    """Refuse a copy of the store in the place of what the program needs. Raises ConfigError."""
    own = find_own_file(store.path, target)
    if own is None and is_same_file(shell.config_file, target):
        own = "the configuration"
    if own is not None:
        raise ConfigError(f"{target}: this is {own}; name another file")


def check_output(shell: Shell, store: StoreConfig, target: Path) -> None:
    """Refuse a page or rows in the place of what the program needs, or of a database.

    Raises ConfigError.
    """
    check_copy(shell, store, target)
    if store.publish is not None and find_own_file(store.publish, target) is not None:
        raise ConfigError(f"{target}: this belongs to the published copy; name another file")
    if is_database(target):
        raise ConfigError(f"{target}: this is a DuckDB database; move it away or name another file")


def is_database(path: Path) -> bool:
    """Whether there is a file of DuckDB; a device or a pipe is not read for it.

    What cannot be looked at cannot be replaced: whoever tries will say why.
    """
    try:
        return path.is_file() and check_file(path)
    except (OSError, StoreError):
        return False
