"""`etl views`: what can be asked without writing SQL."""

import json

import click

from etl.cli.shell import Shell, pass_shell, shared_options


@click.command()
@click.option("--json", "is_json", is_flag=True, help="As JSON.")
@shared_options
@pass_shell
def command(shell: Shell, is_json: bool) -> None:
    """Each view and the question it answers. Read one: etl query "FROM failure_rate_daily"."""
    from etl.cli.render import print_table
    from etl.views import list_views

    views = list_views()
    if is_json:
        found = [{"name": view.name, "question": view.question} for view in views]
        click.echo(json.dumps(found, indent=2))
    else:
        rows = [(view.name, view.question) for view in views]
        print_table(("view", "question"), rows, is_wrapped=True)
