"""The key of the fingerprints lies beside the store, for its owner only."""

import os
import stat
import threading
from pathlib import Path

import pytest

from etl.errors import ConfigError
from etl.redact import check_key, load_key, make_key_id, make_key_path


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "data" / "executions.duckdb"


def test_a_key_is_made_on_first_use_and_stays(store: Path) -> None:
    key = load_key(store)

    assert len(key) == 32
    assert load_key(store) == key
    assert load_key(store, make_key_id(key)) == key
    assert stat.S_IMODE(make_key_path(store).stat().st_mode) == 0o600
    assert list(store.parent.iterdir()) == [make_key_path(store)]


def test_two_stores_have_two_keys(tmp_path: Path) -> None:
    assert load_key(tmp_path / "a.duckdb") != load_key(tmp_path / "b.duckdb")


def test_a_wide_umask_does_not_open_the_key(store: Path) -> None:
    before = os.umask(0)
    try:
        load_key(store)
    finally:
        os.umask(before)

    assert stat.S_IMODE(make_key_path(store).stat().st_mode) == 0o600


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666])
def test_a_key_that_others_may_read_is_refused_with_the_remedy(store: Path, mode: int) -> None:
    load_key(store)
    make_key_path(store).chmod(mode)

    with pytest.raises(ConfigError, match=rf"mode {mode:04o}\); run: chmod 600 .*\.key"):
        load_key(store)


def test_a_lost_key_is_not_made_anew(store: Path) -> None:
    key = load_key(store)
    make_key_path(store).unlink()

    with pytest.raises(ConfigError, match="the key of this store is missing"):
        load_key(store, make_key_id(key))
    assert not make_key_path(store).exists()


def test_an_exchanged_key_is_noticed(store: Path) -> None:
    stored = make_key_id(load_key(store))
    make_key_path(store).unlink()
    other = load_key(store)

    with pytest.raises(ConfigError, match=f"another key \\(id {stored}, .*{make_key_id(other)}"):
        load_key(store, stored)
    with pytest.raises(ConfigError, match="another key"):
        check_key(other, stored, make_key_path(store))


@pytest.mark.parametrize("content", ["", "abc", "zz" * 32, "00" * 31, "ключ"])
def test_a_damaged_key_is_refused(store: Path, content: str) -> None:
    load_key(store)
    make_key_path(store).write_text(content)

    with pytest.raises(ConfigError, match="this is not a key: expected 64 hex digits"):
        load_key(store)


def test_a_key_that_cannot_be_read_or_made_is_explained(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(ConfigError, match=r"x\.duckdb\.key: the key of this store: "):
        load_key(tmp_path / "file" / "x.duckdb")


def test_of_two_who_make_the_key_at_once_one_wins(store: Path) -> None:
    keys: list[bytes] = []
    threads = [threading.Thread(target=lambda: keys.append(load_key(store))) for _ in range(8)]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(keys) == 8
    assert len(set(keys)) == 1


def test_the_id_of_a_key_does_not_tell_it(store: Path) -> None:
    key = load_key(store)

    assert len(make_key_id(key)) == 16
    assert make_key_id(key) not in key.hex()
