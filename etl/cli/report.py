"""`etl report FILE.html`: one page that can be mailed, printed, kept."""

from pathlib import Path

import click

from etl.cli.shell import Shell, pass_shell, say, shared_options

DAYS_MAX = 366


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE.html")
@click.option(
    "--days",
    type=click.IntRange(1, DAYS_MAX),
    default=30,
    show_default=True,
    help="The last days, today included; compared with as many before.",
)
@click.option(
    "--source",
    "sources",
    multiple=True,
    metavar="NAME",
    help="Only this source; may be given several times.",
)
@shared_options
@pass_shell
def command(shell: Shell, file: Path, days: int, sources: tuple[str, ...]) -> None:
    """Write a page on failures, durations, errors and coverage.

    One file that needs no network: to read, to mail, to print. Days begin in the time zone of
    [store].
    """
    from etl.cli.opening import open_known
    from etl.cli.targets import check_output
    from etl.config import load_store
    from etl.report.page import render_page
    from etl.report.publish import write_page
    from etl.report.read import read_figures
    from etl.views import check_views

    store = load_store(shell.config_file)
    check_output(shell, store, file)
    with open_known(store) as connection:
        check_views(connection, store.path)
        figures = read_figures(connection, sources, days, shell.clock())
    page = render_page(figures, store.path.name)
    write_page(file, page)
    size_kb = len(page.encode()) / 1e3
    say(shell, "info", f"{file}: written, {size_kb:.0f} kB", file=str(file))
