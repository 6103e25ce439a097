"""`etl init`, and how commands find their configuration."""

import re

from etl.config import load_config
from etl.sources import SOURCES
from tests.cli.stage import CONFIG, Stage


def test_init_writes_a_file_that_explains_itself(stage: Stage) -> None:
    (stage.folder / "etl.toml").unlink()

    result = stage.run("init", "-v")

    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == "etl.toml: written; name your sources in it, then run: etl check\n"
    assert stage.run("check").stderr == (
        "etl: error: etl.toml: sources: none is configured; take away the # before one, "
        "or add [sources.NAME]\n"
    )


def test_each_source_of_the_template_is_one_that_works(stage: Stage) -> None:
    file = stage.folder / "etl.toml"
    file.unlink()
    stage.run("init")

    text = re.sub(r"^# (?=\[|[a-z_]+ = )", "", file.read_text(), flags=re.MULTILINE)
    file.write_text(text)

    assert {source.kind for source in load_config(file).sources} == set(SOURCES)


def test_init_never_overwrites(stage: Stage) -> None:
    result = stage.run("init")

    assert (result.exit_code, result.stderr) == (
        2,
        "etl: error: etl.toml: there is one already; it was left as it is\n",
    )
    assert (stage.folder / "etl.toml").read_text() == CONFIG


def test_init_into_a_folder_that_is_not_there_is_one_line(stage: Stage) -> None:
    result = stage.run("--config", "no/etl.toml", "init")

    assert result.exit_code == 2
    assert result.stderr.startswith("etl: error: no/etl.toml: cannot be written: ")


def test_the_configuration_is_named_by_option_before_or_behind_or_by_variable(bare: Stage) -> None:
    (bare.folder / "sub").mkdir()
    (bare.folder / "etl.toml").rename(bare.folder / "sub" / "mine.toml")
    named = bare.but(environ={**bare.environ, "ETL_CONFIG": "sub/mine.toml"})

    results = [
        bare.run("--config", "sub/mine.toml", "sync"),
        bare.run("sync", "--config", "sub/mine.toml"),
        named.run("sync"),
        named.run("--config", "missing.toml", "sync"),
    ]

    assert [result.exit_code for result in results] == [0, 0, 0, 2]
    assert (bare.folder / "sub" / "executions.duckdb").exists()
    assert not bare.store.exists()


def test_without_a_command_the_help_is_shown(stage: Stage) -> None:
    result = stage.run()

    assert result.exit_code == 2
    assert result.stdout == stage.run("--help").stdout
    assert "  sync " in result.stdout


def test_the_version_is_told(stage: Stage) -> None:
    result = stage.run("--version")

    assert (result.exit_code, result.stdout.split()[0]) == (0, "etl,")
