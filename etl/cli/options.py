"""Times and durations on the command line."""

import re
from datetime import UTC, datetime, timedelta

import click

from etl.cli.shell import Shell


def read_since(
    context: click.Context, parameter: click.Parameter, text: str | None
) -> datetime | None:
    """A time with its offset, a date (midnight UTC), or a duration before now."""
    if text is None:
        return None
    shell = context.find_object(Shell) or Shell()
    try:
        time = _parse_time(text, shell)
    except (ValueError, OverflowError):
        raise click.BadParameter(
            f'"{text}" is not a time such as 2026-01-01T00:00:00Z, a date, or a duration ago',
            context,
            parameter,
        ) from None
    if time.tzinfo is None:
        raise click.BadParameter(
            f'"{text}" has no offset; write {text}Z for UTC', context, parameter
        )
    return time.astimezone(UTC)


def _parse_time(text: str, shell: Shell) -> datetime:
    if re.fullmatch(r"\d{4}-\d\d-\d\d", text):
        return datetime.fromisoformat(text).replace(tzinfo=UTC)
    if re.match(r"\d{4}-", text):
        return datetime.fromisoformat(text)
    from etl.config import parse_duration

    return shell.clock() - parse_duration(text)


def read_age(
    context: click.Context, parameter: click.Parameter, text: str | None
) -> datetime | None:
    """The time that was a duration ago."""
    age = read_duration(context, parameter, text)
    if age is None:
        return None
    shell = context.find_object(Shell) or Shell()
    try:
        return shell.clock() - age
    except OverflowError:
        raise click.BadParameter(f'"{text}" ago was before all time', context, parameter) from None


def read_duration(
    context: click.Context, parameter: click.Parameter, text: str | None
) -> timedelta | None:
    """`90m`, `24h`, `7d`."""
    from etl.config import parse_duration

    if text is None:
        return None
    try:
        return parse_duration(text)
    except ValueError:
        raise click.BadParameter(
            f'"{text}" is not a duration such as 90m, 24h or 7d', context, parameter
        ) from None
