"""`etl status`: what is known of each stream; with --max-lag a health check."""

import json
from datetime import timedelta

import click

from etl.cli.options import read_duration
from etl.cli.shell import Shell, pass_shell, shared_options


@click.command(short_help="What is known of each stream, and how far it is behind.")
@click.argument("sources", nargs=-1, metavar="[SOURCE]...")
@click.option("--json", "is_json", is_flag=True, help="As JSON.")
@click.option(
    "--max-lag",
    metavar="DURATION",
    callback=read_duration,
    help='Fail with exit code 8 if a stream is further behind: "2h".',
)
@shared_options
@pass_shell
def command(
    shell: Shell, sources: tuple[str, ...], is_json: bool, max_lag: timedelta | None
) -> None:
    """What is known of each stream, what is missing, and how far it is behind."""
    from etl.cli.opening import open_known_or_empty
    from etl.cli.statuses import check_lag, print_drift, print_statuses, to_json
    from etl.config import load_config, select_sources
    from etl.status import read_status
    from etl.store.drift import count_drift

    config = load_config(shell.config_file)
    selected = select_sources(config, sources)
    now = shell.clock()
    with open_known_or_empty(config.store) as connection:
        statuses = read_status(connection, selected, now)
        drift = count_drift(connection, [source.name for source in selected])
    if is_json:
        click.echo(json.dumps([to_json(status) for status in statuses], indent=2))
    else:
        print_statuses(statuses, now, max_lag)
        print_drift(drift)
    if max_lag is not None:
        check_lag(statuses, max_lag)
