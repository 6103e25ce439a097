"""The README names what the program has, all of it and nothing else."""

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from etl import config, errors
from etl.cli import COMMANDS, INTERRUPTED, PIPE_CLOSED, main
from etl.cli.stopping import STOP_SIGNALS
from etl.sources import SOURCES
from etl.toml import list_keys
from etl.views import list_views
from tests.views.store import open_store

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
HELP = re.compile(r"^```console\n\$ (etl [^\n]*--help)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
WIDTH = 78
"""Of help on a terminal of 80 columns, and on none."""
SHARED_OPTIONS = {"--config", "--log-format", "--verbose", "--help", "--version"}


def read_section(title: str) -> str:
    """The text below a heading of the second level."""
    found = re.search(
        rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", README, re.MULTILINE | re.DOTALL
    )
    assert found, f"the README has no section {title!r}"
    return found[1]


def list_first_cells(section: str) -> list[str]:
    """The first column of the tables in a section, without head and rule."""
    return [
        found.strip("` ") for found in re.findall(r"^\| (`[^|]*`|\d+) *\|", section, re.MULTILINE)
    ]


def find_command(name: str) -> click.Command:
    found = main.get_command(click.Context(main), name)
    assert found
    return found


@pytest.mark.parametrize("line", [line for line, _ in HELP.findall(README)])
def test_help_texts_are_those_of_the_program(line: str) -> None:
    text = dict(HELP.findall(README))[line]

    done = CliRunner().invoke(main, line.split()[1:], prog_name="etl", terminal_width=WIDTH)

    assert text == done.output


def test_every_command_is_listed() -> None:
    section = read_section("Commands")

    assert sorted(name.split()[1] for name in list_first_cells(section)) == sorted(COMMANDS)
    assert HELP.search(section)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_stands_in_the_row_of_its_command(name: str) -> None:
    (row,) = re.findall(rf"^\| `etl {name}\b.*$", read_section("Commands"), re.MULTILINE)
    options = {
        option
        for parameter in find_command(name).params
        if isinstance(parameter, click.Option)
        for option in parameter.opts
        if option.startswith("--")
    }

    assert set(re.findall(r"--[a-z-]+", row)) == options - SHARED_OPTIONS


def test_every_exit_code_is_listed() -> None:
    codes = {code for code in list_exit_codes(errors.EtlError)}
    codes |= {0, INTERRUPTED, PIPE_CLOSED} | {128 + number for number in STOP_SIGNALS}

    assert [int(code) for code in list_first_cells(read_section("Exit codes"))] == sorted(codes)


def list_exit_codes(kind: type[errors.EtlError]) -> Iterator[int]:
    yield kind.exit_code
    for below in kind.__subclasses__():
        yield from list_exit_codes(below)


def test_every_kind_is_listed_with_the_requests_it_needs() -> None:
    assert sorted(list_first_cells(read_section("Kinds of sources"))) == sorted(SOURCES)


def test_every_view_is_named_and_nothing_else() -> None:
    (listed,) = re.findall(r"^- \*\*.*?(?=^$)", read_section("Views"), re.MULTILINE | re.DOTALL)
    named = re.findall(r"`([a-z0-9_]+)`", listed)

    assert sorted(named) == sorted(view.name for view in list_views())


QUESTIONS = re.findall(
    r"^```sql\n(.*?)^```\n\n```text\n([^\n]*)\n",
    read_section("Questions"),
    re.MULTILINE | re.DOTALL,
)


@pytest.mark.parametrize(("sql", "head"), QUESTIONS)
def test_the_questions_can_be_asked_and_have_the_columns_shown(sql: str, head: str) -> None:
    asked = open_store().execute(sql)

    assert [column[0] for column in asked.description] == head.split()


def test_every_configuration_key_is_named_and_nothing_else() -> None:
    tables = (config.StoreTable, config.SyncTable, config.NotifyTable, config.SourceTable)
    own = [source.Options for source in SOURCES.values()]
    keys = {key for table in (*tables, *own) for key in list_keys(table)}

    named = re.findall(r"^#? ?([a-z_]+) = ", read_section("Configuration"), re.MULTILINE)

    assert sorted(set(named)) == sorted(keys)


def test_the_configuration_shown_is_accepted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    [text] = re.findall(
        r"^```toml\n(.*?)^```$", read_section("Configuration"), re.MULTILINE | re.DOTALL
    )
    file = tmp_path / "etl.toml"
    file.write_text(text, encoding="utf-8")
    for name in re.findall(r'token_env = "(\w+)"', text):
        monkeypatch.setenv(name, "t0ken")

    loaded = config.load_config(file)

    assert [source.kind for source in loaded.sources] == ["riza", "foundry", "b3os"]


def test_every_make_target_is_named() -> None:
    targets = re.findall(r"^([a-z0-9-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE)

    named = re.findall(r"`make ([a-z0-9-]+)`", README)

    assert sorted(set(named)) == sorted(set(targets) - {"help"})


def test_the_changelog_is_the_last_section() -> None:
    assert re.findall(r"^## (.*)$", README, re.MULTILINE)[-1] == "Changelog"
