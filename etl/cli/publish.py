"""`etl publish FILE`: a copy that dashboards may keep open."""

from pathlib import Path

import click

from etl.cli.shell import Shell, pass_shell, say, shared_options


@click.command()
@click.argument(
    "file", type=click.Path(path_type=Path, dir_okay=False), required=False, metavar="[FILE]"
)
@shared_options
@pass_shell
def command(shell: Shell, file: Path | None) -> None:
    """Write a compacted copy of the store for dashboards.

    They may keep it open: it is replaced at once and as a whole, and who has the old one open keeps
    it. Nothing is done where nothing has changed. Without FILE: what [store] publish names.
    """
    from etl.cli.opening import open_known
    from etl.cli.targets import check_copy
    from etl.config import load_store
    from etl.errors import ConfigError
    from etl.publish import publish

    store = load_store(shell.config_file)
    target = file or store.publish
    if target is None:
        raise ConfigError("name a FILE, or set publish in [store] of the configuration")
    check_copy(shell, store, target)
    with open_known(store):
        pass
    size_bytes = publish(store.path, target, shell.start_budget(None), is_alone=False)
    say(shell, "info", describe_published(target, size_bytes), file=str(target))


def describe_published(target: Path, size_bytes: int | None) -> str:
    if size_bytes is None:
        return f"{target}: nothing has changed since it was published"
    return f"{target}: published, {size_bytes / 1e6:.1f} MB"
