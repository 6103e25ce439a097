"""What import-linter cannot see: who prints, exits, sleeps and reads the clock; size; the map."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
PROGRAM = sorted((ROOT / "etl").rglob("*.py"))
FILE_LINES_MAX = 400
FUNCTION_LINES_MAX = 60

ALLOWED = {
    "print": (),
    "click.echo": ("etl/cli/",),
    "sys.stdout.write": ("etl/cli/",),
    "sys.stderr.write": ("etl/cli/",),
    "sys.exit": ("etl/cli/",),
    "os._exit": (),
    "time.sleep": ("etl/budget.py", "etl/demo/server.py"),
    # `Retry-After` may be a date, which an answer without `Date` leaves to our own clock.
    "datetime.now": ("etl/cli/", "etl/refusals.py"),
    "datetime.today": (),
    "datetime.utcnow": (),
    "date.today": (),
    "time.time": (),
    "os.environ": ("etl/cli/",),
    "os.getenv": (),
}
"""What only some folders may touch; everybody else gets it as a parameter."""


def test_only_the_command_line_prints_exits_and_reads_clock_and_environment() -> None:
    broken = [
        f"{path}:{line}: {name}"
        for path, line, name in _list_names()
        if name in ALLOWED and not path.startswith(ALLOWED[name])
    ]

    assert broken == []


def test_functions_and_files_stay_small_enough_to_be_read() -> None:
    long_functions = [
        f"{_place(path)}:{node.lineno}: {node.name}"
        for path in PROGRAM
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef)
        and (node.end_lineno or 0) - node.lineno >= FUNCTION_LINES_MAX
    ]
    long_files = [
        _place(path) for path in PROGRAM if len(path.read_text().splitlines()) > FILE_LINES_MAX
    ]

    assert long_functions + long_files == []


def test_every_module_says_what_it_is_for_and_its_package_lists_it() -> None:
    silent = [
        _place(path)
        for path in PROGRAM
        if path.read_text().strip() and not ast.get_docstring(ast.parse(path.read_text()))
    ]
    maps = ("etl", "etl/store", "etl/sync", "etl/report", "etl/redact", "etl/export")

    assert silent == []
    assert {place: unlisted for place in maps if (unlisted := _list_unlisted(ROOT / place))} == {}


def _list_unlisted(package: Path) -> set[str]:
    """The modules and packages in it that its own docstring does not name."""
    listed = ast.get_docstring(ast.parse((package / "__init__.py").read_text())) or ""
    named = {line.split()[0].rstrip("/") for line in listed.splitlines() if line.strip()}
    modules = {path.stem for path in package.glob("*.py")}
    packages = {path.parent.name for path in package.glob("*/__init__.py")}
    return (modules | packages) - named - {"__init__", "__main__"}


def _list_names() -> Iterator[tuple[str, int, str]]:
    """Every plain or dotted name of the program, as it is written."""
    for path in PROGRAM:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Name | ast.Attribute):
                yield _place(path), node.lineno, ast.unparse(node)


def _place(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()
