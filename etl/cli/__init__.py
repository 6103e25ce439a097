"""The commands: the only place that prints and exits.

shell      what all of them share: the world outside, common options, what is said on stderr
options    times and durations on the command line
COMMANDS   one small module each, with the click command in `command`; loaded when it is called

job        a sync from beginning to end                     sync, demo
plan       what a sync would walk                           sync --plan
checks     what is looked at, each with what was found      check
statuses   streams as a table, as JSON, as a verdict        status
results    SQL of the user and its rows                     query
demo_tables   what failed and how long it took              demo

lock       one sync per store
targets    which files must not be replaced                query, report, publish
opening    the store with its schema, views and key
streams    stdout and stderr that are closed, or on a full disk
stopping   signals end a sync in order
telling    who else learns how a sync went: Prometheus, a dead man's switch
progress   how far a sync has come, on a terminal
render     tables and bars for people
fitting    how wide the columns of a table are
"""

import gc
import importlib
import sys
from typing import Any

import click

from etl.cli.shell import Shell, explain_usage, fail, say, shared_options
from etl.cli.streams import FULL, prepare_streams, silence
from etl.errors import ConfigError, EtlError, StoreError

COMMANDS = (
    "demo",
    "init",
    "check",
    "sync",
    "fetch",
    "status",
    "query",
    "views",
    "quarantine",
    "export",
    "report",
    "publish",
    "prune",
    "compact",
)
GARBAGE_OBJECTS = 200_000
"""After so many new objects Python looks for cycles among them; its default is 700."""
UNUSED_MODULES = ("pandas", "httpx._main")
"""What libraries look for that this program does not need. DuckDB looks for pandas with each
parameter of a statement, and loads it where it is installed; httpx loads its own command line."""
INTERRUPTED = 130
PIPE_CLOSED = 141


class Commands(click.Group):
    """A group that loads a command when it is needed, and turns errors into a line and a code."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"etl.cli.{cmd_name}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in COMMANDS and not args[0].startswith("-"):
            from etl.toml import suggest

            raise click.UsageError(
                f'there is no command "{args[0]}"; {suggest(args[0], COMMANDS)}', ctx
            )
        return super().resolve_command(ctx, args)

    def main(self, *args: Any, **extra: Any) -> Any:
        """Run a command and exit: 0, a code of etl.errors, 130 interrupted, 141 nobody reads on."""
        extra.setdefault("obj", Shell())
        prepare_streams()
        sys.exit(self._run(*args, **{**extra, "standalone_mode": False}))

    def _run(self, *args: Any, **extra: Any) -> int:
        shell: Shell = extra["obj"]
        try:
            returned = super().main(*args, **extra)
            sys.stdout.flush()
        except EtlError as error:
            fail(shell, error)
            return error.exit_code
        except click.ClickException as error:
            fail(shell, ConfigError(explain_usage(error)))
            return ConfigError.exit_code
        except click.Abort:
            return INTERRUPTED
        except SystemExit:
            # click's answer to a closed pipe; nothing else in here exits.
            return PIPE_CLOSED
        except OSError as error:
            if error.errno not in FULL:
                raise
            silence(1)
            fail(shell, explain_full(error))
            return StoreError.exit_code
        except Exception as bug:
            if shell.log_format != "json":
                raise
            say_bug(shell, bug)
            return EtlError.exit_code
        return returned if isinstance(returned, int) else 0


def explain_full(error: OSError) -> StoreError:
    """What could not be written for want of room: a file, or else what was asked for on stdout."""
    place = error.filename or "the output"
    return StoreError(f"{place}: {error.strerror}; it is not whole: make room and run again")


def say_bug(shell: Shell, bug: Exception) -> None:
    """A bug as one object: where it is, and nothing of the values that it was about."""
    import traceback

    frames = "".join(traceback.format_tb(bug.__traceback__))
    kind = type(bug).__name__
    say(shell, "error", f"this is a bug: {kind}", exit_code=EtlError.exit_code, traceback=frames)


@click.group(
    "etl",
    cls=Commands,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 done, 1 a bug, 2 usage or configuration, 3 credentials refused, "
    "4 a source failed, 5 another sync is running, 6 the store is locked, damaged or full, "
    "7 too many records quarantined, 8 behind --max-lag.",
)
@click.version_option(None, "--version", package_name="etl-executions", prog_name="etl")
@shared_options
@click.pass_context
def main(context: click.Context) -> None:
    """Execution history of the platforms that run your code, in DuckDB.

    No configuration yet? Try: etl demo
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help())
        context.exit(ConfigError.exit_code)


def run() -> None:
    """The process `etl`: any command.

    Modules stay to the end and rows hold no cycles: to look through them again and again takes a
    fifth of a sync.
    """
    gc.set_threshold(GARBAGE_OBJECTS)
    for name in UNUSED_MODULES:
        # To an import None says that there is no such module; mypy knows only those that are there.
        sys.modules.setdefault(name, None)  # type: ignore[arg-type]
    main(prog_name="etl")
