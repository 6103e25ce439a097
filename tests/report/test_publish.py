"""The file is there as a whole, or as it was."""

import os
from pathlib import Path

import pytest

from etl.errors import ConfigError
from etl.report.publish import write_page


def test_the_page_replaces_the_old_one(tmp_path: Path) -> None:
    file = tmp_path / "new folder" / "report.html"

    write_page(file, "old")
    write_page(file, "nëw")

    assert file.read_text(encoding="utf-8") == "nëw"
    assert [path.name for path in file.parent.iterdir()] == ["report.html"]


def test_whoever_is_killed_while_writing_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "report.html"
    write_page(file, "old")

    def die(self: Path, target: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", die)
        with pytest.raises(KeyboardInterrupt):
            write_page(file, "new")

    assert file.read_text() == "old"
    write_page(file, "newer")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["newer"]


def test_a_place_where_nothing_can_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(ConfigError, match=r"report\.html: cannot be written: "):
        write_page(tmp_path / "file" / "report.html", "new")


def test_a_pipe_is_written_to_and_stays_one(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)

    write_page(pipe, "<p>new</p>")
    received = os.read(reader, 100)
    os.close(reader)

    assert received == b"<p>new</p>"
    assert pipe.is_fifo()
