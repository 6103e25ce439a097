"""`etl quarantine`: the records that could not be understood."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from etl.cli.shell import Shell, pass_shell, say, shared_options
from etl.errors import ConfigError

if TYPE_CHECKING:
    import duckdb


@click.command()
@click.argument("names", nargs=-1, metavar="[SOURCE]...")
@click.option(
    "--replay", "is_replay", is_flag=True, help="Try them again; those understood now are stored."
)
@shared_options
@pass_shell
def command(shell: Shell, names: tuple[str, ...], is_replay: bool) -> None:
    """List the records that were not understood, or try them again.

    They are kept, redacted, with the place and the reason; the others of their pages are stored.
    After an upgrade --replay reads them once more, without the API.
    """
    if is_replay:
        _replay(shell, names)
    _list(shell, names)


def _replay(shell: Shell, names: tuple[str, ...]) -> None:
    from etl.cli.lock import hold_lock
    from etl.cli.opening import prepare_store
    from etl.config import load_config, select_sources
    from etl.sync.replay import replay_quarantine
    from etl.sync.run import Surroundings
    from etl.wording import count_things

    config = load_config(shell.config_file)
    budget = shell.start_budget(None)
    with hold_lock(config.store.path, shell.clock()):
        open_store, key = prepare_store(config.store, budget)
        around = Surroundings(open_store, key, budget, shell.clock)
        for source in select_sources(config, names):
            result = replay_quarantine(source, around)
            rows = sum(run.rows_new + run.rows_changed + run.rows_unchanged for run in result.runs)
            found = count_things(rows, "record")
            say(shell, "info", f"{source.name}: {found} understood now", source=source.name)


def _list(shell: Shell, names: tuple[str, ...]) -> None:
    from etl.cli.opening import open_known
    from etl.cli.render import print_table
    from etl.config import load_store

    store = load_store(shell.config_file)
    with open_known(store) as connection:
        _check_names(connection, names, store.path)
        rows = connection.execute(
            "SELECT source, stream, quarantined_at::VARCHAR, path, error, record::VARCHAR "
            "FROM etl.quarantine WHERE len($names) = 0 OR list_contains($names, source) "
            "ORDER BY source, stream, quarantined_at",
            {"names": list(names)},
        ).fetchall()
    heads = ("source", "stream", "since", "path", "error", "record")
    print_table(heads, rows)


def _check_names(
    connection: "duckdb.DuckDBPyConnection", names: tuple[str, ...], path: Path
) -> None:
    """Raise ConfigError for a source that the store does not have, configured or not."""
    from etl.toml import suggest

    known = connection.execute(
        "SELECT source FROM etl.streams UNION SELECT source FROM etl.quarantine"
    ).fetchall()
    sources = [source for (source,) in known]
    for name in names:
        if name not in sources:
            raise ConfigError(f'{path}: there is no source "{name}"; {suggest(name, sources)}')
