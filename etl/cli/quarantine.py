"""`etl quarantine`: the records that could not be understood."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from etl.cli.shell import Shell, pass_shell, say, shared_options
from etl.errors import ConfigError

if TYPE_CHECKING:
    import duckdb

SHOWN = {
    "source": "source",
    "stream": "stream",
    "quarantined_at": "since",
    "path": "path",
    "error": "error",
}
"""The columns that people see, and what stands above them."""
ROWS_SQL = """
SELECT * REPLACE (quarantined_at::VARCHAR AS quarantined_at, record::VARCHAR AS record)
FROM etl.quarantine
WHERE len($names) = 0 OR list_contains($names, source)
ORDER BY source, stream, etl.quarantine.quarantined_at, fingerprint
"""


@click.command()
@click.argument("names", nargs=-1, metavar="[SOURCE]...")
@click.option(
    "--replay", "is_replay", is_flag=True, help="Try them again; those understood now are stored."
)
@click.option("--json", "is_json", is_flag=True, help="As JSON, each with the record itself.")
@shared_options
@pass_shell
def command(shell: Shell, names: tuple[str, ...], is_replay: bool, is_json: bool) -> None:
    """List the records that were not understood, or try them again.

    They are kept, redacted, with the place and the reason; the others of their pages are stored.
    After an upgrade --replay reads them once more, without the API.
    """
    if is_replay:
        _replay(shell, names)
    rows = _read(shell, names, is_any_known=is_replay)
    if is_json:
        _print_json(rows)
    elif rows:
        _print(rows)
    else:
        say(shell, "info", "nothing is in quarantine")


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


def _read(shell: Shell, names: tuple[str, ...], is_any_known: bool) -> list[dict[str, Any]]:
    """The rows of these sources; all without a name. Raises ConfigError for unknown names."""
    from etl.cli.opening import open_known
    from etl.config import load_store

    store = load_store(shell.config_file)
    with open_known(store) as connection:
        if not is_any_known:
            _check_names(connection, names, store.path)
        asked = connection.execute(ROWS_SQL, {"names": list(names)})
        columns = [column[0] for column in asked.description or ()]
        return [dict(zip(columns, row, strict=True)) for row in asked.fetchall()]


def _print(rows: Sequence[dict[str, Any]]) -> None:
    from etl.cli.render import print_table

    print_table([*SHOWN.values()], [[row[name] for name in SHOWN] for row in rows], is_wrapped=True)


def _print_json(rows: Sequence[dict[str, Any]]) -> None:
    """A row per line, with the record as it was kept."""
    import msgspec

    lines = [
        msgspec.json.encode({**row, "record": msgspec.Raw(row["record"].encode())}).decode()
        for row in rows
    ]
    click.echo("[" + ",\n ".join(lines) + "]")


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
