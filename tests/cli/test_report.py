"""`etl report`: from the store to a file."""

import re

import duckdb
import pytest

from tests.cli.stage import Stage


@pytest.fixture
def synced(stage: Stage) -> Stage:
    assert stage.run("sync").exit_code == 0
    return stage


def test_the_page_counts_what_is_in_the_store(synced: Stage) -> None:
    result = synced.run("report", "report.html", "--days", "7")

    page = (synced.folder / "report.html").read_text(encoding="utf-8")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "")
    assert re.findall(r'<p class="value">(.*?)</p>', page)[0] == "3"
    assert "27 December 2025 – 2 January 2026" in page
    assert "hunter2" not in page


def test_two_runs_write_the_same_page(synced: Stage) -> None:
    synced.run("report", "one.html")
    synced.run("report", "two.html")

    assert (synced.folder / "one.html").read_bytes() == (synced.folder / "two.html").read_bytes()


def test_an_unknown_source_is_refused_and_the_old_page_stays(synced: Stage) -> None:
    (synced.folder / "report.html").write_text("old")

    result = synced.run("report", "report.html", "--source", "nothing")

    assert result.exit_code == 2
    assert 'no source "nothing" in the store; it has interpreter' in result.stderr
    assert (synced.folder / "report.html").read_text() == "old"


def test_a_store_with_the_views_of_another_version_is_to_be_synced_first(synced: Stage) -> None:
    with duckdb.connect(str(synced.store)) as connection:
        connection.execute("UPDATE etl.meta SET value = 'former' WHERE name = 'views_hash'")

    refused = synced.run("report", "report.html")
    synced.run("sync")
    done = synced.run("report", "report.html")

    assert refused.exit_code == 6
    assert "its views are those of another version of etl; the next etl sync renews them" in (
        refused.stderr
    )
    assert done.exit_code == 0


def test_without_a_store_nothing_is_written(bare: Stage) -> None:
    result = bare.run("report", "report.html")

    assert result.exit_code == 6
    assert "there is no store yet; run: etl sync" in result.stderr
    assert not (bare.folder / "report.html").exists()
