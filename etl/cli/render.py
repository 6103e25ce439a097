"""Tables and bars for people, on stdout."""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from etl.cli.fitting import Width, choose_gap, count_fitting, measure_column, share_room
from etl.cli.shell import clean
from etl.wording import format_number

if TYPE_CHECKING:
    from rich.console import Console

SPARKS = "▁▂▃▄▅▆▇█"
EIGHTHS = " ▏▎▍▌▋▊▉"
CELL_CHARS_MAX = 2_000
UNLIMITED_WIDTH = 1_000_000


def open_console() -> "Console":
    """stdout: as wide as the terminal, or as wide as it takes where nobody reads it on one."""
    from rich.console import Console

    width = None if sys.stdout.isatty() else UNLIMITED_WIDTH
    return Console(file=sys.stdout, width=width, highlight=False, markup=False, emoji=False)


def print_table(
    columns: Sequence[str],
    rows: Sequence[Sequence[Any]],
    aligned_right: Sequence[bool] = (),
    title: str | None = None,
    can_be_cut: Sequence[bool] = (),
    is_wrapped: bool = False,
) -> None:
    """A table that fits the terminal: long texts are cut or wrapped, numbers stand right.

    Where even that is too wide, each row becomes a block. Without `aligned_right`, columns of which
    every value is a number stand right; without `can_be_cut`, the others can be cut.
    """
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    is_right = aligned_right or [_is_numeric([row[i] for row in rows]) for i in range(len(columns))]
    cells = [[_make_cell(value) for value in row] for row in rows]
    console = open_console()
    widths = measure_table(columns, cells, can_be_cut or [not right for right in is_right])
    if count_fitting(widths, console.width) < len(widths):
        print_records(columns, rows, title)
        return
    table = Table(
        box=SIMPLE_HEAD,
        title=title,
        title_justify="left",
        title_style="bold",
        padding=(0, 1, 0, choose_gap(widths, console.width) - 2),
        pad_edge=False,
        show_edge=False,
    )
    shared = share_room(widths, console.width)
    for name, right, width in zip(columns, is_right, shared, strict=True):
        table.add_column(
            Text(clean(name)),
            justify="right" if right else "left",
            width=width,
            no_wrap=not is_wrapped,
            overflow="fold" if is_wrapped else "ellipsis",
            header_style="bold",
        )
    for row in cells:
        table.add_row(*row)
    console.print(table, crop=False)


def measure_table(
    columns: Sequence[str], rows: Sequence[Sequence[Any]], can_be_cut: Sequence[bool]
) -> list[Width]:
    """The width of each column; the cells of the rows are texts of rich."""
    from rich.cells import cell_len

    return [
        measure_column(cell_len(clean(name)), [row[place].cell_len for row in rows], is_text)
        for place, (name, is_text) in enumerate(zip(columns, can_be_cut, strict=True))
    ]


def count_columns(
    columns: Sequence[str], rows: Sequence[Sequence[Any]], can_be_cut: Sequence[bool]
) -> int:
    """How many columns from the left find room on the terminal."""
    cells = [[_make_cell(value) for value in row] for row in rows]
    return count_fitting(measure_table(columns, cells, can_be_cut), open_console().width)


def print_records(
    columns: Sequence[str], rows: Sequence[Sequence[Any]], title: str | None = None
) -> None:
    """Each row as a block of its own, a line for each value: what is too wide for a table."""
    from rich.table import Table
    from rich.text import Text

    console = open_console()
    if title is not None:
        console.print(Text(title, style="bold"))
    for number, row in enumerate(rows, 1):
        block = Table(box=None, show_header=False, pad_edge=False, title_justify="left")
        block.add_column(style="bold", no_wrap=True)
        block.add_column(overflow="fold")
        for name, value in zip(columns, row, strict=True):
            block.add_row(Text(clean(name)), _make_cell(value))
        console.rule(f"{number}", align="left", style="dim")
        console.print(block, crop=False)


def _is_numeric(values: Sequence[Any]) -> bool:
    found = [value for value in values if value is not None]
    return bool(found) and all(isinstance(value, int | float) for value in found)


def _make_cell(value: Any) -> Any:
    from rich.text import Text

    if isinstance(value, Text):
        return value
    if value is None:
        return Text("∅", style="dim")
    return Text(format_value(value))


def format_value(value: Any) -> str:
    """A value as one line of a table."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return format_number(value)
    return clean(str(value)[:CELL_CHARS_MAX])


def draw_bar(share: float, width: int) -> str:
    """A horizontal bar, `share` of `width` characters long, to an eighth of one."""
    eighths = round(min(1.0, max(0.0, share)) * width * 8)
    return ("█" * (eighths // 8) + EIGHTHS[eighths % 8]).rstrip()


def draw_sparkline(values: Sequence[float | None], highest: float | None = None) -> str:
    """One character per value, as high as its share of the highest; a gap where there is none."""
    top = highest or max((value for value in values if value is not None), default=0.0)
    return "".join(_draw_spark(value, top) for value in values)


def _draw_spark(value: float | None, top: float) -> str:
    if value is None:
        return " "
    step = round(value / top * (len(SPARKS) - 1)) if top else 0
    return SPARKS[min(len(SPARKS) - 1, max(0, step))]


Look = Literal["good", "bad", "dim", "plain"]


def paint(text: str, look: Look) -> Any:
    """A text in the colour of what it says, for a cell."""
    from rich.text import Text

    style = {"good": "green", "bad": "red", "dim": "dim", "plain": ""}[look]
    return Text(clean(text), style=style)
