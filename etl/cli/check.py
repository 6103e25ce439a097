"""`etl check`: does everything work that a sync will need?"""

import click

from etl.cli.shell import Shell, fail, pass_shell, shared_options


@click.command(short_help="Check configuration, credentials, a page of each source, store.")
@click.argument("sources", nargs=-1, metavar="[SOURCE]...")
@shared_options
@pass_shell
def command(shell: Shell, sources: tuple[str, ...]) -> int:
    """Check configuration, credentials, one page of each source, and the store. Writes nothing."""
    from etl.cli.checks import (
        check_config,
        check_source,
        check_the_store,
        check_writing,
        print_lines,
    )
    from etl.config import load_config, select_sources

    config = load_config(shell.config_file)
    chosen = select_sources(config, sources)
    lines = check_config(config, shell.environ)
    budget = shell.start_budget(None)
    for source in chosen:
        lines += check_source(shell, source, budget)
    lines += [*check_writing(config.store), *check_the_store(config)]
    print_lines(lines)
    errors = [line.error for line in lines if line.error is not None]
    for error in errors:
        fail(shell, error)
    return min((error.exit_code for error in errors), default=0)
