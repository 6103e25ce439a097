"""The key of the fingerprints: random, made on first use beside the store, for its owner only."""

import contextlib
import hashlib
import hmac
import os
import secrets
import stat
from pathlib import Path

from etl.errors import ConfigError

KEY_BYTES = 32
KEY_ID_DIGITS = 16
OTHERS = stat.S_IRWXG | stat.S_IRWXO


def make_key_path(store_path: Path) -> Path:
    """Where the key of a store lies: beside it."""
    return store_path.with_name(store_path.name + ".key")


def load_key(store_path: Path, stored_key_id: str | None = None) -> bytes:
    """The key of a store, made if the store has none yet; `stored_key_id` is what the store says.

    Raises ConfigError if the key is lost, exchanged, damaged or readable by others.
    """
    path = make_key_path(store_path)
    try:
        if stored_key_id is None and not path.exists():
            _create_key(path)
        key = _read_key(path)
    except FileNotFoundError as error:
        raise ConfigError(
            f"{path}: the key of this store is missing; put it back from a copy. Without it the "
            "fingerprints of new rows would not match those of the stored ones"
        ) from error
    except OSError as error:
        raise ConfigError(f"{path}: the key of this store: {error.strerror}") from error
    check_key(key, stored_key_id, path)
    return key


def make_key_id(key: bytes) -> str:
    """16 hex digits by which a store recognises its key, and which do not tell it."""
    return hmac.digest(key, b"etl key id", hashlib.sha256).hex()[:KEY_ID_DIGITS]


def check_key(key: bytes, stored_key_id: str | None, path: Path) -> None:
    """Raise ConfigError if the store was written with another key."""
    if stored_key_id is not None and not hmac.compare_digest(make_key_id(key), stored_key_id):
        raise ConfigError(
            f"{path}: this store was written with another key (id {stored_key_id}, this one is "
            f"{make_key_id(key)}); put the old one back from a copy. With this one the same secret "
            "would have two fingerprints"
        )


def _create_key(path: Path) -> None:
    """Write a new key so that the file is complete or not there, and only one writer wins."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{os.getpid()}-{secrets.token_hex(4)}")
    try:
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w") as file:
            file.write(secrets.token_bytes(KEY_BYTES).hex() + "\n")
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink(missing_ok=True)


def _read_key(path: Path) -> bytes:
    mode = path.stat().st_mode
    if os.name == "posix" and mode & OTHERS:
        raise ConfigError(
            f"{path}: others may read this key (mode {stat.S_IMODE(mode):04o}); "
            f"run: chmod 600 {path}"
        )
    try:
        key = bytes.fromhex(path.read_text(encoding="ascii"))
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise ConfigError(
            f"{path}: this is not a key: expected {2 * KEY_BYTES} hex digits; put the key back "
            "from a copy"
        )
    return key
