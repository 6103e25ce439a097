"""Kills a process at each step it takes: `python -m tests.killing SCENE FOLDER`.

The scene sets up a folder, acts, and checks what a killed actor has left. Each act is a forked
child that traces itself and sends itself SIGKILL in front of one line, the first time that line is
run; this process never opens a database itself, so that every child starts clean. Lines in front of
which nothing has changed in the folder leave the same when they are killed: of those each fifth is
a step.
"""

import importlib
import os
import pickle
import shutil
import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import Any, Protocol

Line = tuple[str, int]
"""A file and the number of a line."""


class Scene(Protocol):
    """A module that is to be killed in the middle of what it does."""

    FILES: Sequence[str]
    """The files whose lines count, as paths end."""

    def set_up(self, folder: Path) -> None:
        """Make what is there before."""

    def act(self, folder: Path) -> None:
        """What is killed."""

    def check(self, folder: Path) -> None:
        """AssertionError if what is left is not good, or does not become so by acting again."""


def trace_lines(files: Sequence[str], on_line: Callable[[Line], None]) -> None:
    """Call `on_line` in front of each line of these files that this process runs from now on."""

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        name = frame.f_code.co_filename
        if not name.endswith(tuple(files)):
            return None
        if event == "line":
            on_line((name, frame.f_lineno))
        return trace

    sys.settrace(trace)


def run_child(act: Callable[[], None]) -> int:
    """Run something in a child; its wait status."""
    child = os.fork()
    if child == 0:
        try:
            act()
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    return os.waitpid(child, 0)[1]


QUIET_LINES = 5


def look(folder: Path) -> list[tuple[str, int, int]]:
    """Each file with its size and the time it was last written."""
    stats = [(path.name, path.stat()) for path in sorted(folder.iterdir())]
    return [(name, stat.st_size, stat.st_mtime_ns) for name, stat in stats]


def list_steps(scene: Scene, folder: Path) -> list[Line]:
    """The lines of an undisturbed act at which to kill it, in the order of their first time."""
    record = folder.with_name("lines")

    def act() -> None:
        seen: set[Line] = set()
        lines: list[Line] = []
        before: list[tuple[str, int, int]] = []

        def note(line: Line) -> None:
            if line in seen:
                return
            seen.add(line)
            now = look(folder)
            if now != before or len(seen) % QUIET_LINES == 0:
                lines.append(line)
                before[:] = now

        trace_lines(scene.FILES, note)
        scene.act(folder)
        sys.settrace(None)
        record.write_bytes(pickle.dumps(lines))

    assert run_child(act) == 0
    lines: list[Line] = pickle.loads(record.read_bytes())
    return lines


def kill_at_each_step(scene: Scene, folder: Path) -> Iterator[tuple[Line, bool]]:
    """Each step, and whether what was left of the actor that was killed there is good."""
    work = folder / "work"
    before = folder / "before"
    before.mkdir()
    assert run_child(lambda: scene.set_up(before)) == 0
    shutil.copytree(before, work)
    lines = list_steps(scene, work)
    for line in lines:
        shutil.rmtree(work)
        shutil.copytree(before, work)
        died = run_child(lambda line=line: act_until(scene, work, line))
        assert os.WIFSIGNALED(died), f"{line}: nothing was killed"
        assert os.WTERMSIG(died) == signal.SIGKILL
        yield line, run_child(lambda: scene.check(work)) == 0


def act_until(scene: Scene, folder: Path, line: Line) -> None:
    def die(reached: Line) -> None:
        if reached == line:
            os.kill(os.getpid(), signal.SIGKILL)

    trace_lines(scene.FILES, die)
    scene.act(folder)


def main(name: str, folder: Path) -> int:
    scene: Any = importlib.import_module(name)
    bad = 0
    total = 0
    for line, is_good in kill_at_each_step(scene, folder):
        total += 1
        bad += not is_good
        if not is_good:
            sys.stdout.write(f"killed at {line}: what is left is not good\n")
    sys.stdout.write(f"{total} kills, {bad} bad\n")
    return 1 if bad or total == 0 else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2])))
