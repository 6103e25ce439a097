"""The Riza dialect, read by the official client and checked against the OpenAPI document."""

from datetime import timedelta

import msgspec
import pytest
import rizaio

from etl.demo.server import DemoSettings

from .conftest import NOW, World
from .shapes import RizaExecution, RizaPage, RizaStatus, ScriptDetails

SMALL = DemoSettings(executions=350, end=NOW)


def read_ids(client, **query):
    """Every id of the list, in its order, by the API's own rule for paging."""
    ids = []
    while True:
        page = client.get("/riza/v1/executions", params=query).json()["data"]
        if not page:
            return ids
        ids += [execution["id"] for execution in page]
        query["starting_after"] = ids[-1]


def test_the_official_client_lists_and_retrieves_every_execution(world: World) -> None:
    server = world.start(SMALL)
    with rizaio.Riza(base_url=server.base_url + "/riza", api_key="demo-token") as client:
        listed = list(client.executions.list())
        retrieved = [client.executions.get(execution.id) for execution in listed]

    history = server.riza.history
    wanted = [history.execution_id(index) for index in reversed(history.visible(NOW))]
    assert [execution.id for execution in listed] == wanted
    assert len(wanted) == 350
    assert all(execution.details is not None for execution in retrieved)
    assert {execution.details.type for execution in retrieved} == {"tool", "function", "script"}
    kept = [execution for execution in listed if execution.details is not None]
    assert kept == [execution for execution in retrieved if execution.id in {e.id for e in kept}]
    assert server.requests == {"riza.list": 5, "riza.get": 350}


def test_the_official_client_gets_an_authentication_error_for_a_wrong_key(world: World) -> None:
    server = world.start(SMALL)
    with (
        rizaio.Riza(base_url=server.base_url + "/riza", api_key="wrong") as client,
        pytest.raises(rizaio.AuthenticationError) as caught,
    ):
        client.executions.list()

    assert caught.value.body == {"code": 16, "message": "unauthenticated"}
    assert server.requests == {}


def test_every_answer_has_the_shape_of_the_openapi_document(serve) -> None:
    client = serve(DemoSettings(executions=1_500, end=NOW))
    checked = 0
    query: dict[str, str] = {}
    while True:
        body = client.get("/riza/v1/executions", params=query).content
        page = msgspec.json.decode(body, type=RizaPage).data
        if not page:
            break
        checked += len(page)
        query["starting_after"] = page[-1].id
        for bare in (one for one in page if one.details is msgspec.UNSET):
            body = client.get(f"/riza/v1/executions/{bare.id}").content
            assert msgspec.json.decode(body, type=RizaExecution).details is not msgspec.UNSET

    assert checked == 1_500


def test_outer_and_inner_result_agree(serve) -> None:
    client = serve(SMALL)
    body = client.get("/riza/v1/executions").content

    for execution in msgspec.json.decode(body, type=RizaPage).data:
        if isinstance(execution.details, ScriptDetails):
            inner = execution.details.response
            assert inner.id == execution.id
        elif execution.details is not msgspec.UNSET:
            inner = execution.details.response.execution
            assert inner.id in {"", execution.id}
        else:
            continue
        assert inner.exit_code == execution.exit_code
        assert 0 < inner.duration < execution.duration


@pytest.mark.parametrize("limit", [1, 7, 100])
@pytest.mark.parametrize("order", ["newest", "oldest"])
def test_pages_tile_the_list_in_both_orders(world: World, order, limit) -> None:
    server = world.start(DemoSettings(executions=40, end=NOW, riza_order=order))
    history = server.riza.history
    wanted = [history.execution_id(index) for index in history.visible(NOW)]

    ids = read_ids(world.client(server), limit=str(limit))

    assert ids == (wanted if order == "oldest" else wanted[::-1])


def test_only_failing_exit_codes_are_listed_when_asked_for(world: World) -> None:
    server = world.start(SMALL)
    history = server.riza.history
    failing = [index for index in history.visible(NOW) if history.exit_code(index) != 0]

    ids = read_ids(world.client(server), only_non_zero_exit_codes="true", limit="5")

    assert ids == [history.execution_id(index) for index in reversed(failing)]
    assert 10 < len(ids) < 60


def test_a_walk_is_not_disturbed_by_executions_that_come_meanwhile(world: World) -> None:
    server = world.start(DemoSettings(executions=300))
    client = world.client(server)
    first = client.get("/riza/v1/executions").json()["data"]
    before = [server.riza.history.execution_id(i) for i in server.riza.visible(world.now)]

    world.now += timedelta(hours=12)
    rest = read_ids(client, starting_after=first[-1]["id"])
    again = client.get("/riza/v1/executions").json()["data"]

    assert [execution["id"] for execution in first] + rest == before[::-1]
    assert again[0]["id"] > first[0]["id"]


@pytest.mark.parametrize("unknown", ["01JM3JQFH1HW3SKDNEJTJJH740", "nonsense", ""])
@pytest.mark.parametrize(
    ("behaviour", "status", "count"),
    [("error", 404, None), ("empty", 200, 0), ("ignore", 200, 100)],
)
def test_an_unknown_anchor_does_what_the_settings_say(
    serve, behaviour, status, count, unknown
) -> None:
    client = serve(DemoSettings(executions=300, end=NOW, unknown_anchor=behaviour))

    response = client.get("/riza/v1/executions", params={"starting_after": unknown})

    assert response.status_code == status
    if count is None:
        assert msgspec.json.decode(response.content, type=RizaStatus).code == 5
    else:
        assert len(response.json()["data"]) == count


def test_a_deleted_execution_leaves_the_list_and_cannot_be_retrieved(world: World) -> None:
    server = world.start(SMALL)
    client = world.client(server)
    ids = read_ids(client)

    assert server.riza.delete(ids[17])
    assert not server.riza.delete("nonsense")

    assert read_ids(client) == ids[:17] + ids[18:]
    assert client.get(f"/riza/v1/executions/{ids[17]}").status_code == 404


@pytest.mark.parametrize("limit", ["0", "101", "-1", "many", "²", "9" * 5_000])
def test_a_limit_out_of_range_is_refused(serve, limit) -> None:
    response = serve(SMALL).get("/riza/v1/executions", params={"limit": limit})

    assert response.status_code == 400
    assert msgspec.json.decode(response.content, type=RizaStatus).code == 3


def test_what_the_api_does_not_have_is_not_found(serve) -> None:
    client = serve(SMALL)

    assert client.get("/riza/v1/executions/01JM3JQFH1HW3SKDNEJTJJH740").status_code == 404
    assert client.get("/riza/v1/tools").status_code == 404
    assert client.post("/riza/v1/executions").status_code == 404
