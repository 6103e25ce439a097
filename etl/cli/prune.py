"""`etl prune`: old payloads or old executions out of the store."""

import sys
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import click

from etl.cli.options import read_age
from etl.cli.render import print_table
from etl.cli.shell import Shell, is_talkative, pass_shell, say, shared_options
from etl.wording import count_things, format_count, format_time

if TYPE_CHECKING:
    from etl.config import StoreConfig
    from etl.prune import Horizons, Prunable

COLUMNS = ("what", "source", "stream", "rows", "first", "last")


@click.command(short_help="Drop old payloads, or old executions.")
@click.option(
    "--payloads-older-than",
    "payloads_before",
    metavar="DURATION",
    callback=read_age,
    help='Drop what went in and came out, keep the metrics: "90d".',
)
@click.option(
    "--executions-older-than",
    "executions_before",
    metavar="DURATION",
    callback=read_age,
    help='Drop whole executions: "2y". They are not fetched again.',
)
@click.option("--yes", "is_agreed", is_flag=True, help="Do it without asking.")
@shared_options
@pass_shell
def command(
    shell: Shell,
    payloads_before: datetime | None,
    executions_before: datetime | None,
    is_agreed: bool,
) -> None:
    """Drop old payloads, or old executions, after showing what would go.

    What was pruned still counts as known, and is not fetched again. The file keeps its size: the
    room is used for new rows, or given back by `etl compact`.
    """
    from etl.cli.opening import open_known
    from etl.config import load_store
    from etl.errors import ConfigError
    from etl.prune import Horizons, check_lookback, find_prunable
    from etl.sources import list_tables

    if payloads_before is None and executions_before is None:
        raise ConfigError("say what: --payloads-older-than, --executions-older-than, or both")
    store = load_store(shell.config_file)
    horizons = Horizons(executions_before, payloads_before)
    with open_known(store) as connection:
        check_lookback(connection, horizons, shell.clock())
        found = find_prunable(connection, list_tables(), horizons)
    if found and is_wanted(shell, found, is_agreed):
        run_prune(shell, store, horizons)
        removed = sum(one.rows for one in found)
        said = f"{count_things(removed, 'row')} pruned; etl compact frees room"
        say(shell, "info", said, removed=removed)
    elif not found:
        say(shell, "info", "nothing is that old")


def is_wanted(shell: Shell, found: "Sequence[Prunable]", is_agreed: bool) -> bool:
    """Show what would go, and whether it shall."""
    if is_agreed and not is_talkative(shell):
        return True
    print_table(
        COLUMNS,
        [
            (
                one.what,
                one.source,
                one.stream,
                format_count(one.rows),
                format_time(one.first),
                format_time(one.last),
            )
            for one in found
        ],
        [name == "rows" for name in COLUMNS],
    )
    if is_agreed or (is_answerable() and click.confirm("Prune these?", err=True)):
        return True
    say(shell, "warning", "nothing was pruned; --yes does it")
    return False


def is_answerable() -> bool:
    return sys.stdin.isatty()


def run_prune(shell: Shell, store: "StoreConfig", horizons: "Horizons") -> None:
    from etl.cli.lock import hold_lock
    from etl.cli.opening import prepare_store
    from etl.prune import prune
    from etl.sources import list_tables

    with hold_lock(store.path, shell.clock()):
        open_store, _ = prepare_store(store, shell.start_budget(None))
        with open_store() as connection:
            prune(connection, list_tables(), horizons, shell.clock())
