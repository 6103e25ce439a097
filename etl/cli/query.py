"""`etl query "SQL"`: rows of the store, as a table or as a file."""

import sys
from pathlib import Path

import click

from etl.cli.shell import Shell, pass_shell, shared_options
from etl.errors import ConfigError

FORMATS = ("table", "csv", "jsonl", "parquet")
SUFFIXES = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet"}


class Query(click.Command):
    """A command whose SQL may begin with a comment, which looks like an option."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        return super().parse_args(ctx, [f" {arg}" if _is_comment(arg) else arg for arg in args])


def _is_comment(arg: str) -> bool:
    return arg.startswith("-- ") or (arg.startswith("--") and "\n" in arg)


@click.command(cls=Query, short_help="Run SQL on the store, read-only.")
@click.argument("sql", required=False, metavar="[SQL]")
@click.option(
    "-f",
    "--file",
    "sql_file",
    type=click.Path(path_type=Path, allow_dash=True),
    metavar="FILE",
    help="Read the SQL from a file; - is stdin.",
)
@click.option(
    "--format",
    "format_name",
    type=click.Choice(FORMATS),
    help="Default: what FILE of -o is called, else a table on a terminal and csv elsewhere.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write a file; it appears when it is complete.",
)
@shared_options
@pass_shell
def command(
    shell: Shell,
    sql: str | None,
    sql_file: Path | None,
    format_name: str | None,
    output: Path | None,
) -> None:
    """Run SQL on the store, read-only, and print the rows of the last statement.

    Try: etl query "FROM failure_rate_daily"
    """
    from etl.cli.results import print_rows, print_statement, run_statements, write_rows
    from etl.cli.targets import check_output
    from etl.config import load_store
    from etl.store.connect import open_reader

    text = read_sql(sql, sql_file)
    chosen = choose_format(format_name, output)
    store = load_store(shell.config_file)
    if output is not None:
        check_output(shell, store, output)
    with open_reader(store.path) as connection:
        connection.execute(f"SET TimeZone = '{store.timezone}'")
        query = run_statements(connection, text)
        if query.is_select and chosen == "table":
            print_rows(shell, connection, query.sql)
        elif query.is_select:
            write_rows(connection, query.sql, chosen, output)
        elif format_name in (None, "table") and output is None:
            print_statement(connection, query.sql)
        else:
            raise ConfigError("only the rows of a SELECT can be written to a file")


def read_sql(sql: str | None, sql_file: Path | None) -> str:
    """The SQL, from the one place where it stands."""
    if (sql is None) == (sql_file is None):
        raise click.UsageError("give the SQL either as an argument or as -f FILE")
    if sql is not None:
        return sql
    if str(sql_file) == "-":
        return sys.stdin.read()
    try:
        return Path(str(sql_file)).read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{sql_file}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{sql_file}: cannot be read: {error}") from None


def choose_format(name: str | None, output: Path | None) -> str:
    """The format that was asked for, or the one that fits where the rows go."""
    if output is not None:
        found = name or SUFFIXES.get(output.suffix)
        if found is None or found == "table":
            raise ConfigError(f"{output}: in which format? Give --format csv, jsonl or parquet")
        return found
    is_terminal = sys.stdout.isatty()
    if name == "parquet" and is_terminal:
        raise ConfigError("parquet is nothing for a terminal; give -o FILE")
    return name or ("table" if is_terminal else "csv")
