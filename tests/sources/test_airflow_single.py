"""Runs and task instances of Airflow by their ids."""

import httpx
import pytest

from etl.errors import (
    ConfigError,
    PositionLost,
)
from etl.records import Stream
from etl.sources import airflow
from tests.sources.airflow_lab import (
    RUNS,
    TASKS,
    client_of,
    make_config,
    read_page,
)


@pytest.mark.parametrize(
    ("stream", "record_id", "path", "page"),
    [
        (
            RUNS,
            "etl/manual__2026-11-23T22:52:18+00:00",
            "/api/v2/dags/etl/dagRuns/manual__2026-11-23T22%3A52%3A18%2B00%3A00",
            "dag_run_failed.json",
        ),
        (
            TASKS,
            "etl/a/b/load/-1",
            "/api/v2/dags/etl/dagRuns/a%2Fb/taskInstances/load",
            "task_instance_single.json",
        ),
        (
            TASKS,
            "etl/mapped/handle/2",
            "/api/v2/dags/etl/dagRuns/mapped/taskInstances/handle/2",
            "task_instance_mapped_single.json",
        ),
    ],
)
def test_one_record_is_retrieved_by_its_id(
    stream: Stream, record_id: str, path: str, page: str
) -> None:
    asked: list[bytes] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.raw_path)
        return httpx.Response(200, json=read_page(page))

    with client_of(answer) as client:
        found = airflow.fetch_record(client, make_config(), stream, record_id)

    assert asked == [path.encode()]
    assert [r.dag_run_id for r in found.records] == [read_page(page)["dag_run_id"]]
    assert found.next is None


@pytest.mark.parametrize("name", ["error_404_run.json", "error_404_mapped.json"])
def test_a_record_the_api_does_not_have_is_lost(name: str) -> None:
    with (
        client_of(lambda request: httpx.Response(404, json=read_page(name))) as client,
        pytest.raises(PositionLost, match="HTTP 404: "),
    ):
        airflow.fetch_record(client, make_config(), RUNS, "etl/run")


@pytest.mark.parametrize(
    ("stream", "record_id"),
    [(RUNS, "etl"), (RUNS, "/run"), (TASKS, "etl/run"), (TASKS, "etl/run/task/")],
)
def test_an_id_of_another_form_is_a_wrong_command(stream: Stream, record_id: str) -> None:
    with (
        client_of(lambda request: httpx.Response(500)) as client,
        pytest.raises(ConfigError, match="is not of the form dag/run"),
    ):
        airflow.fetch_record(client, make_config(), stream, record_id)
