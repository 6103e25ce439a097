"""`etl export DIR`: Parquet for BI tools, rewritten where rows changed."""

import click

from etl.cli.shell import Shell, pass_shell, say, shared_options


@click.command()
@click.argument("target", metavar="DIR|URL")
@click.option(
    "-t",
    "--table",
    "names",
    multiple=True,
    default=("executions",),
    show_default=True,
    metavar="NAME",
    help="A table or view; may be given several times.",
)
@click.option(
    "--format",
    "format_name",
    type=click.Choice(["parquet", "csv", "jsonl"]),
    default="parquet",
    show_default=True,
)
@click.option("--full", "is_full", is_flag=True, help="Write every partition anew.")
@shared_options
@pass_shell
def command(
    shell: Shell, target: str, names: tuple[str, ...], format_name: str, is_full: bool
) -> None:
    """Write tables and views as files, one per source and day.

    Only partitions whose rows changed since the last export are written again. URL: an object
    store, such as s3://bucket/history, by way of DuckDB's httpfs and its secrets.
    """
    from etl.cli.opening import open_known
    from etl.config import load_store
    from etl.export.relations import export_relation
    from etl.wording import count_things

    store = load_store(shell.config_file)
    with open_known(store) as connection:
        for name in names:
            done = export_relation(connection, name, target, format_name, is_full)
            say(
                shell,
                "info",
                f"{name}: {count_things(done.written, 'file')} written with "
                f"{count_things(done.rows, 'row')}, "
                f"{done.kept} left as they were, {done.removed} removed",
                table=name,
                written=done.written,
                kept=done.kept,
                removed=done.removed,
            )
