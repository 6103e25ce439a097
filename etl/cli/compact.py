"""`etl compact`: the room of what was deleted back to the disk."""

import click

from etl.cli.shell import Shell, pass_shell, say, shared_options


@click.command()
@shared_options
@pass_shell
def command(shell: Shell) -> None:
    """Give the room of deleted rows back to the disk.

    The store is rewritten and replaced at once. It needs room for a second store meanwhile. Readers
    are not disturbed.
    """
    from etl.cli.lock import hold_lock
    from etl.cli.opening import open_known
    from etl.compact import compact
    from etl.config import load_store

    store = load_store(shell.config_file)
    with open_known(store):
        pass
    with hold_lock(store.path, shell.clock()):
        before, after = compact(store.path, shell.start_budget(None))
    say(
        shell,
        "info",
        f"{store.path}: {before / 1e6:.1f} MB became {after / 1e6:.1f} MB",
        bytes_before=before,
        bytes_after=after,
    )
