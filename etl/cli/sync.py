"""`etl sync`: bring the store up to date."""

from dataclasses import replace
from datetime import datetime
from pathlib import Path

import click

from etl.cli.options import read_since
from etl.cli.shell import Shell, is_talkative, pass_shell, say, shared_options


def check_metrics_file(
    context: click.Context, parameter: click.Parameter, value: Path | None
) -> Path | None:
    """The file is replaced: it must be one that the collector reads, and not, say, a device."""
    if value is not None and value.suffix != ".prom":
        raise click.BadParameter(f"{value}: expected a name that ends in .prom")
    return value


@click.command(short_help="Bring the store up to date.")
@click.argument("sources", nargs=-1, metavar="[SOURCE]...")
@click.option("--max-seconds", type=click.FloatRange(min=0), help="Stop in order after this time.")
@click.option("--max-pages", type=click.IntRange(min=1), help="Stop in order after these pages.")
@click.option(
    "--since",
    metavar="TIME",
    callback=read_since,
    help="How far back to go, instead of the configured `since`: a time, a date (UTC), or a "
    'duration ago such as "30d".',
)
@click.option("--full", "is_full", is_flag=True, help="Read everything again, known or not.")
@click.option("--plan", "is_plan", is_flag=True, help="Show what would be walked; write nothing.")
@click.option("--json", "is_json", is_flag=True, help="The result as JSON on stdout.")
@click.option(
    "--metrics",
    "metrics_file",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    callback=check_metrics_file,
    help="Write FILE (*.prom) for the node exporter's textfile collector.",
)
@shared_options
@pass_shell
def command(
    shell: Shell,
    sources: tuple[str, ...],
    max_seconds: float | None,
    max_pages: int | None,
    since: datetime | None,
    is_full: bool,
    is_plan: bool,
    is_json: bool,
    metrics_file: Path | None,
) -> int:
    """Bring the store up to date: newest first, then what is missing behind.

    It ends in order when its time or pages are used up, or when it is asked to stop; the next run
    goes on where this one ended. Without SOURCE: all that are configured.
    """
    from etl.config import load_config, select_sources

    config = load_config(shell.config_file)
    chosen = select_sources(config, sources)
    if since is not None:
        chosen = tuple(replace(source, since=since) for source in chosen)
    if is_plan:
        from etl.cli.plan import show_plan

        return show_plan(shell, config, chosen, is_full, is_json)
    if is_talkative(shell):
        for warning in config.warnings:
            say(shell, "warning", warning)
    from etl.cli.job import Wish, run_sync

    wish = Wish(max_seconds, max_pages, is_full, is_json, metrics_file)
    return run_sync(shell, config, chosen, wish)
