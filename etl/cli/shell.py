"""What every command shares: the world outside, the common options, what is said on stderr."""

import json
import os
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import click

from etl.budget import Budget, start_budget
from etl.cli.streams import silence
from etl.errors import ConfigError, EtlError

if TYPE_CHECKING:
    import httpx

Level = Literal["info", "warning", "error"]
AnyCommand = TypeVar("AnyCommand", bound=Callable[..., Any])


def read_clock() -> datetime:
    return datetime.now(UTC)


@dataclass(slots=True)
class Shell:
    """What a command takes from the world, and how it was asked to behave.

    Tests put their own clock, budget, transport and environment in place.
    """

    clock: Callable[[], datetime] = read_clock
    start_budget: Callable[[float | None], Budget] = start_budget
    transport: "httpx.BaseTransport | None" = None
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    config_file: Path = Path("etl.toml")
    log_format: Literal["text", "json"] = "text"
    is_verbose: bool = False


pass_shell = click.make_pass_decorator(Shell)


def shared_options(command: AnyCommand) -> AnyCommand:
    """The options that stand before or behind the name of a command."""
    options = (
        click.option(
            "--config",
            "config_file",
            type=click.Path(path_type=Path),
            metavar="FILE",
            expose_value=False,
            callback=_remember,
            help="The configuration. [$ETL_CONFIG; default: ./etl.toml]",
        ),
        click.option(
            "--log-format",
            type=click.Choice(["text", "json"]),
            expose_value=False,
            callback=_remember,
            help="What stderr is made of: lines for people, or JSON objects.",
        ),
        click.option(
            "-v",
            "--verbose",
            "is_verbose",
            is_flag=True,
            expose_value=False,
            callback=_remember,
            help="Say what was done, also when nobody looks.",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


def _remember(context: click.Context, parameter: click.Parameter, value: Any) -> None:
    shell = context.find_object(Shell)
    if shell is None:
        return
    if value:
        setattr(shell, str(parameter.name), value)
    elif parameter.name == "config_file" and context.parent is None:
        shell.config_file = Path(shell.environ.get("ETL_CONFIG") or shell.config_file)


def is_talkative(shell: Shell) -> bool:
    """Whether somebody wants to know what was done, not only what went wrong."""
    return shell.is_verbose or sys.stderr.isatty()


def say(shell: Shell, level: Level, message: str, **details: Any) -> None:
    """A line on stderr: errors and warnings always, the rest if somebody wants to know.

    As JSON: an object with `time`, `level`, `message` and the details.
    """
    if level == "info" and not is_talkative(shell):
        return
    if shell.log_format == "json":
        time = shell.clock().isoformat(timespec="milliseconds")
        line = {"time": time, "level": level, "message": message, **details}
        echo_error(json.dumps(line, ensure_ascii=False, default=str))
        return
    lines = [clean(line) for line in message.splitlines()]
    prefix = "" if level == "info" else f"etl: {level}: "
    echo_error(prefix + "\n".join(lines))


def echo_error(text: str) -> None:
    """A line on stderr. Where that cannot be written nothing else can be said, or is at stake."""
    try:
        click.echo(text, err=True)
    except OSError:
        silence(2)


def fail(shell: Shell, error: EtlError, **details: Any) -> None:
    """The line of an error."""
    say(shell, "error", describe_error(error), exit_code=error.exit_code, **details)


def describe_error(error: EtlError) -> str:
    """The message of an error; what a server or a store said may hold a secret, which is masked."""
    if isinstance(error, ConfigError):
        return str(error)
    from etl.redact import mask_line

    return mask_line(str(error))


def clean(text: str) -> str:
    """Text without the control characters by which data could command a terminal."""
    return re.sub(r"[\x00-\x1f\x7f-\x9f]+", " ", text)


def explain_usage(error: click.ClickException) -> str:
    """A refused command line in one line, and where to read on."""
    message = error.format_message().rstrip(".")
    context = error.ctx if isinstance(error, click.UsageError) else None
    return f"{message} (see: {context.command_path} --help)" if context else message
