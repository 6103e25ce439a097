"""Who else learns how a sync went: a dead man's switch, Prometheus, the published copy."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from etl.cli import telling
from etl.cli.lock import hold_lock
from etl.notify import make_address
from tests.cli.stage import CONFIG, NOW, RizaApi, Stage, make_record
from tests.cli.test_publish import COUNT, ask, sync_more
from tests.store.test_connect import hold

SECRET = "5ab1e-0f-the-switch"
ADDRESS = f"https://switch.test/ping/{SECRET}"
NOTIFY = f'{CONFIG}[notify]\nping_url = "{ADDRESS}"\n'


@dataclass
class World:
    """An API and a dead man's switch behind one transport."""

    api: Any
    answer: Any = lambda request: httpx.Response(200)
    pings: list[str] = field(default_factory=list)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.url.host != "switch.test":
            response: httpx.Response = self.api(request)
            return response
        self.pings.append(str(request.url).replace(SECRET, "SECRET"))
        answered: httpx.Response = self.answer(request)
        return answered


@pytest.fixture
def watched(stage: Stage) -> Stage:
    """A stage with a switch; its handler is a World."""
    stage.configure(NOTIFY)
    return stage.but(handler=World(stage.handler))


def list_pings(stage: Stage) -> list[str]:
    assert isinstance(stage.handler, World)
    prefix = "https://switch.test/ping/SECRET"
    return [ping.removeprefix(prefix) for ping in stage.handler.pings]


def test_a_run_that_succeeds_pings_at_its_start_and_its_end(watched: Stage) -> None:
    result = watched.run("sync")

    assert (result.exit_code, result.output) == (0, "")
    assert list_pings(watched) == ["/start", ""]


@pytest.mark.parametrize(
    ("environ", "handler", "exit_code", "pings"),
    [
        ({"RIZA_API_KEY": "another-token"}, None, 3, ["/start", "/fail"]),
        ({}, None, 2, ["/fail"]),
        (None, lambda request: 1 / 0, 1, ["/start", "/fail"]),
    ],
    ids=["refused", "no token", "a bug"],
)
def test_a_run_that_fails_pings_that_it_did(
    watched: Stage, environ: Any, handler: Any, exit_code: int, pings: list[str]
) -> None:
    if environ is not None:
        watched = watched.but(environ=environ)
    if handler is not None:
        watched = watched.but(handler=World(handler))

    result = watched.run("sync", catch=True)

    assert result.exit_code == exit_code
    assert list_pings(watched) == pings


def test_a_run_that_is_refused_because_another_runs_pings_nothing(watched: Stage) -> None:
    """The other one will, or it hangs: then its silence is the alarm."""
    with hold_lock(watched.store, NOW):
        assert watched.run("sync").exit_code == 5

    assert list_pings(watched) == []


def test_a_plan_pings_nothing(watched: Stage) -> None:
    assert watched.run("sync", "--plan").exit_code == 0

    assert list_pings(watched) == []


def refuse(request: httpx.Request) -> httpx.Response:
    return httpx.Response(404, text=f"there is no {SECRET}")


def drop(request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError(f"cannot reach {request.url}")


def redirect(request: httpx.Request) -> httpx.Response:
    return httpx.Response(302, headers={"Location": f"https://evil.test/{SECRET}"})


@pytest.mark.parametrize(
    ("answer", "reason"),
    [(refuse, "HTTP 404"), (drop, "ConnectError"), (redirect, "HTTP 302")],
)
def test_a_ping_that_fails_is_one_line_and_never_fails_the_sync(
    watched: Stage, answer: Any, reason: str
) -> None:
    assert isinstance(watched.handler, World)
    watched.handler.answer = answer

    result = watched.run("sync", "--log-format", "text")

    assert result.exit_code == 0
    assert result.stderr == f"etl: warning: a ping of [notify] did not arrive: {reason}\n"
    assert SECRET not in result.output
    assert len(watched.list_ids()) == 3


def test_a_switch_that_does_not_answer_holds_nothing_up(
    watched: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither the sync, which begins meanwhile, nor for long its end."""
    monkeypatch.setattr("etl.notify.PING_TIMEOUT_S", 0.01)
    is_over = threading.Event()
    assert isinstance(watched.handler, World)
    watched.handler.answer = lambda request: is_over.wait() and httpx.Response(200)

    result = watched.run("sync")
    is_over.set()

    assert result.exit_code == 0
    assert "did not arrive: no answer within 0.01 s" in result.stderr
    assert len(watched.list_ids()) == 3


def test_the_address_may_stand_in_the_environment(watched: Stage) -> None:
    watched.configure(f'{CONFIG}[notify]\nping_url_env = "SWITCH"\n')

    told = watched.but(environ={**watched.environ, "SWITCH": ADDRESS}).run("-v", "sync")

    assert told.exit_code == 0
    assert list_pings(watched) == ["/start", ""]
    assert SECRET not in told.output


@pytest.mark.parametrize("value", ["", "switch.test/ping", f"ftp://switch.test/{SECRET}"])
def test_an_environment_without_an_address_is_refused_without_showing_it(
    watched: Stage, value: str
) -> None:
    watched.configure(f'{CONFIG}[notify]\nping_url_env = "SWITCH"\n')

    result = watched.but(environ={**watched.environ, "SWITCH": value}).run("sync")

    assert result.exit_code == 2
    assert "SWITCH does not hold an http(s) address" in result.stderr
    assert SECRET not in result.output


@pytest.mark.parametrize(
    ("address", "suffix", "expected"),
    [
        ("https://hc.test/uuid", "start", "https://hc.test/uuid/start"),
        ("https://hc.test/uuid/", "fail", "https://hc.test/uuid/fail"),
        ("https://hc.test/uuid?rid=1", "fail", "https://hc.test/uuid/fail?rid=1"),
        ("https://hc.test/uuid", "", "https://hc.test/uuid"),
        ("http://u:p@hc.test:8000/", "start", "http://u:p@hc.test:8000/start"),
    ],
)
def test_the_suffix_stands_behind_the_path(address: str, suffix: str, expected: str) -> None:
    assert make_address(address, suffix) == expected


LABELS = ("source", "kind", "stream", "fate")


def read_metrics(file: Path) -> dict[str, float]:
    """Each sample by its name and the values of its labels."""
    return {
        "/".join((sample.name, *(sample.labels[k] for k in LABELS if k in sample.labels))): (
            sample.value
        )
        for family in text_string_to_metric_families(file.read_text())
        for sample in family.samples
    }


STREAM = "interpreter/riza/executions"


def test_the_metrics_show_each_stream_and_the_run(stage: Stage) -> None:
    assert stage.run("sync", "--metrics", "etl.prom").exit_code == 0
    later = stage.but(now=NOW + timedelta(minutes=30))
    assert later.run("sync", "--metrics", "etl.prom").exit_code == 0

    found = read_metrics(stage.folder / "etl.prom")

    expected = {
        "etl_run_timestamp_seconds": (NOW + timedelta(minutes=30)).timestamp(),
        "etl_run_duration_seconds": 0.0,
        "etl_run_exit_code": 0.0,
        f"etl_last_run_timestamp_seconds/{STREAM}": (NOW + timedelta(minutes=30)).timestamp(),
        f"etl_last_success_timestamp_seconds/{STREAM}": (NOW + timedelta(minutes=30)).timestamp(),
        f"etl_exit_code/{STREAM}": 0.0,
        f"etl_covered_until_timestamp_seconds/{STREAM}": NOW.timestamp(),
        f"etl_lag_seconds/{STREAM}": 1800.0,
        f"etl_gaps/{STREAM}": 0.0,
        f"etl_stored_rows/{STREAM}": 3.0,
        f"etl_open_rows/{STREAM}": 0.0,
        f"etl_rows_total/{STREAM}/new": 3.0,
        f"etl_rows_total/{STREAM}/changed": 0.0,
        f"etl_rows_total/{STREAM}/quarantined": 0.0,
        f"etl_retries_total/{STREAM}": 0.0,
        f"etl_slept_seconds_total/{STREAM}": 0.0,
    }
    assert {name: found.get(name) for name in expected} == expected
    for name in ("pages", "requests", "received_bytes"):
        assert found[f"etl_{name}_total/{STREAM}"] > 0
    assert found[f"etl_rows_total/{STREAM}/unchanged"] == 3.0
    assert [path.name for path in stage.folder.glob("etl.prom*")] == ["etl.prom"]


def test_the_metrics_of_a_run_that_failed_keep_the_last_success(stage: Stage) -> None:
    assert stage.run("sync", "--metrics", "etl.prom").exit_code == 0
    later = stage.but(now=NOW + timedelta(hours=1), environ={"RIZA_API_KEY": "another-token"})

    assert later.run("sync", "--metrics", "etl.prom").exit_code == 3

    found = read_metrics(stage.folder / "etl.prom")
    assert found["etl_run_exit_code"] == 3.0
    assert found[f"etl_exit_code/{STREAM}"] == 3.0
    assert found[f"etl_last_success_timestamp_seconds/{STREAM}"] == NOW.timestamp()
    assert found[f"etl_last_run_timestamp_seconds/{STREAM}"] == later.now.timestamp()


def test_a_store_that_cannot_be_read_leaves_the_metrics_of_the_run(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(telling, "STORE_WAIT_S", 0.0)
    stage.store.write_text("this is no store")

    assert stage.run("sync", "--metrics", "etl.prom").exit_code == 6

    assert read_metrics(stage.folder / "etl.prom")["etl_run_exit_code"] == 6.0


def test_a_second_sync_leaves_the_metrics_to_the_first(stage: Stage) -> None:
    with hold_lock(stage.store, NOW):
        assert stage.run("sync", "--metrics", "etl.prom").exit_code == 5

    assert not (stage.folder / "etl.prom").exists()


def test_metrics_that_cannot_be_written_are_one_line_and_never_fail_the_sync(
    stage: Stage,
) -> None:
    result = stage.run("sync", "--metrics", "no/such/folder/etl.prom")

    assert result.exit_code == 0
    assert result.stderr.startswith("etl: warning: no/such/folder/etl.prom: cannot write")
    assert result.stderr.count("\n") == 1


@pytest.fixture
def publishing(stage: Stage) -> Stage:
    stage.configure(f'[store]\npublish = "copy.duckdb"\n{CONFIG}')
    return stage


def test_a_sync_publishes_what_it_brought(publishing: Stage) -> None:
    result = publishing.run("sync")
    copy = publishing.folder / "copy.duckdb"

    assert (result.exit_code, result.output) == (0, "")
    assert ask(copy, COUNT) == [(3,)]
    sync_more(publishing, 4)
    assert ask(copy, COUNT) == [(4,)]
    assert publishing.run("publish").exit_code == 0


def test_a_copy_that_cannot_be_published_fails_the_run_and_keeps_the_rows(
    publishing: Stage,
) -> None:
    (publishing.folder / "copy.duckdb").write_text("something else")

    result = publishing.run("sync")

    assert result.exit_code == 6
    assert result.stderr.count("\n") == 1
    assert "copy.duckdb" in result.stderr
    assert len(publishing.list_ids()) == 3


def test_one_source_that_fails_does_not_keep_the_others_from_being_published(
    publishing: Stage,
) -> None:
    publishing.configure(
        f'[store]\npublish = "copy.duckdb"\n{CONFIG}'
        + CONFIG.replace("interpreter", "other").replace("riza.test", "down.test")
    )

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.host == "down.test":
            return httpx.Response(403)
        return RizaApi([make_record(1)])(request)

    result = publishing.but(handler=answer).run("sync")

    assert result.exit_code == 3
    assert ask(publishing.folder / "copy.duckdb", COUNT) == [(1,)]


def test_a_dashboard_that_keeps_the_copy_open_never_blocks_the_sync(publishing: Stage) -> None:
    assert publishing.run("sync").exit_code == 0

    with hold(publishing.folder / "copy.duckdb", "reader"):
        sync_more(publishing, 4)

    assert ask(publishing.folder / "copy.duckdb", COUNT) == [(4,)]


@pytest.fixture(autouse=True)
def no_ping_outlives_its_test() -> Iterator[None]:
    yield
    for thread in threading.enumerate():
        if thread.name.endswith("(_send)"):
            thread.join()
