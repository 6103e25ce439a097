"""`etl fetch SOURCE ID…`: single executions, now."""

import click

from etl.cli.shell import Shell, pass_shell, shared_options


@click.command(short_help="Retrieve single executions by their ids.")
@click.argument("source", metavar="SOURCE")
@click.argument("record_ids", nargs=-1, required=True, metavar="ID...")
@shared_options
@pass_shell
def command(shell: Shell, source: str, record_ids: tuple[str, ...]) -> int:
    """Retrieve single executions by their ids, and store them.

    What is known to be complete is not touched. An id of Airflow is DAG/RUN, or
    DAG/RUN/TASK/MAP_INDEX.
    """
    from etl.cli.job import report
    from etl.cli.opening import prepare_store
    from etl.config import load_config, resolve_token, select_sources
    from etl.sync.fetch import fetch_records
    from etl.sync.run import Surroundings

    config = load_config(shell.config_file)
    chosen = resolve_token(select_sources(config, [source])[0], shell.environ)
    budget = shell.start_budget(None)
    open_store, key = prepare_store(config.store, budget)
    around = Surroundings(open_store, key, budget, shell.clock, shell.transport)
    result = fetch_records(chosen, record_ids, around)
    return report(shell, [result], other_codes=(), is_json=False)
