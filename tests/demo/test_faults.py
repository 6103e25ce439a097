"""Each fault does what it says, on a real socket."""

import socket
from collections import Counter
from datetime import timedelta

import httpx
import pytest

from etl.demo.faults import FAULT_NAMES, Faults, find_fault
from etl.demo.server import DemoSettings

from .conftest import NOW, World

LIST = "/riza/v1/executions"


def settings(**faults) -> DemoSettings:
    return DemoSettings(executions=300, end=NOW, faults=Faults(**faults))


def read_raw(server, path=LIST) -> tuple[bytes, bool]:
    """What comes back until the connection closes, and whether it was reset."""
    received = b""
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        head = f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer demo-token\r\n"
        connection.sendall(head.encode() + b"Connection: close\r\n\r\n")
        while True:
            try:
                piece = connection.recv(65_536)
            except ConnectionResetError:
                return received, True
            if not piece:
                return received, False
            received += piece


def test_a_scripted_fault_hits_exactly_its_request(serve) -> None:
    client = serve(settings(script={2: "error_500", 4: "error_503"}))

    statuses = [client.get(LIST).status_code for _ in range(5)]

    assert statuses == [200, 500, 200, 503, 200]


@pytest.mark.parametrize(("retry_after_s", "header"), [(0, "0"), (2.5, "2.5"), (None, None)])
def test_a_rate_limit_says_when_to_come_again(serve, retry_after_s, header) -> None:
    client = serve(settings(script={1: "rate_limit"}, retry_after_s=retry_after_s))

    response = client.get(LIST)

    assert response.status_code == 429
    assert response.headers.get("Retry-After") == header
    assert response.json()["code"] == 8


def test_a_503_can_say_that_asking_again_is_useless(serve) -> None:
    response = serve(settings(script={1: "no_retry"})).get(LIST)

    assert response.status_code == 503
    assert response.headers["QoS-Retry-Hint"] == "do-not-retry"
    assert response.headers["x-should-retry"] == "false"


def test_errors_have_the_body_of_their_platform(world: World) -> None:
    server = world.start(settings(error_500=1.0))
    client = world.client(server)
    rid = next(iter(server.foundry.history.streams))
    path = f"/foundry/api/v2/observability/resources/{rid}/listExecutions?preview=true"

    assert client.get(LIST).json() == {"code": 13, "message": "internal error"}
    assert client.post(path, json={}).json()["errorCode"] == "INTERNAL"
    assert client.get("/b3os/v1/executions").json()["code"] == 500


def test_drop_closes_the_connection_before_the_first_byte(world: World) -> None:
    received, _ = read_raw(world.start(settings(script={1: "drop"})))

    assert received == b""


def test_cut_closes_in_order_with_fewer_bytes_than_announced(world: World) -> None:
    server = world.start(settings(script={1: "cut"}))

    received, was_reset = read_raw(server)
    whole, _ = read_raw(server)

    head, _, body = received.partition(b"\r\n\r\n")
    whole_body = whole.partition(b"\r\n\r\n")[2]
    assert f"Content-Length: {len(whole_body)}".encode() in head
    assert body == whole_body[: len(whole_body) // 2]
    assert not was_reset


def test_cut_is_seen_by_a_client_as_a_protocol_error(serve) -> None:
    client = serve(settings(script={1: "cut"}))

    with pytest.raises(httpx.RemoteProtocolError):
        client.get(LIST)
    assert client.get(LIST).status_code == 200


def test_reset_breaks_the_connection_in_the_middle_of_the_response(world: World) -> None:
    server = world.start(settings(script={1: "reset"}))

    received, was_reset = read_raw(server)
    whole, _ = read_raw(server)

    assert was_reset
    assert len(received) < len(whole)


def test_html_comes_with_status_200(serve) -> None:
    response = serve(settings(script={1: "html"})).get(LIST)

    assert response.status_code == 200
    assert response.headers["Content-Type"] == "text/html"
    assert response.text.startswith("<!doctype html>")


def test_repeat_page_gives_the_list_that_was_given_before(serve) -> None:
    client = serve(settings(script={2: "repeat_page"}))
    first = client.get(LIST).json()
    query = {"starting_after": first["data"][-1]["id"]}

    repeated = client.get(LIST, params=query).json()
    following = client.get(LIST, params=query).json()

    assert repeated == first
    assert following["data"][0] != first["data"][0]


def test_repeat_page_keeps_the_platforms_apart(serve) -> None:
    client = serve(settings(script={2: "repeat_page"}))
    client.get(LIST)

    page = client.get("/b3os/v1/executions")

    assert page.json()["data"]["offset"] == 0


def test_delete_anchor_makes_the_next_page_start_nowhere(serve) -> None:
    client = serve(settings(script={2: "delete_anchor"}))
    first = client.get(LIST).json()["data"]

    response = client.get(LIST, params={"starting_after": first[-1]["id"]})
    again = client.get(LIST).json()["data"]

    assert response.status_code == 404
    assert first[-1]["id"] not in {execution["id"] for execution in again}
    assert [one["id"] for one in again[:99]] == [one["id"] for one in first[:99]]


def read_two_foundry_pages(world: World, server, between=timedelta(0)):
    rid = next(iter(server.foundry.history.streams))
    path = f"/foundry/api/v2/observability/resources/{rid}/listExecutions?preview=true"
    client = world.client(server)
    body = {"startTime": "2026-01-01T00:00:00Z", "endTime": NOW.isoformat(), "pageSize": 5}
    token = client.post(path, json=body).json()["nextPageToken"]
    world.now += between
    return client.post(path, json=body | {"pageToken": token})


def test_expire_token_refuses_a_token(world: World) -> None:
    response = read_two_foundry_pages(world, world.start(settings(script={2: "expire_token"})))

    assert response.status_code == 400
    assert response.json()["errorName"] == "InvalidPageToken"


@pytest.mark.parametrize(("age_s", "status"), [(60, 200), (61, 400)])
def test_a_token_lives_as_long_as_the_settings_say(world: World, age_s, status) -> None:
    server = world.start(settings(page_token_ttl_s=60))

    response = read_two_foundry_pages(world, server, timedelta(seconds=age_s))

    assert response.status_code == status


def test_latency_and_slowness_are_waited_for(world: World) -> None:
    client = world.client(world.start(settings(latency_ms=40, slow_ms=300, script={2: "slow"})))

    assert [client.get(LIST).status_code for _ in range(3)] == [200, 200, 200]
    assert world.naps_s == [0.04, 0.34, 0.04]


def test_without_latency_nothing_is_waited_for(world: World) -> None:
    world.client(world.start(settings())).get(LIST)

    assert world.naps_s == []


def test_faults_can_be_limited_to_kinds_of_request(serve) -> None:
    client = serve(settings(error_500=1.0, kinds=frozenset({"riza.get", "b3os.list"})))

    assert client.get(LIST).status_code == 200
    assert client.get(LIST + "/01JM3JQFH1HW3SKDNEJTJJH740").status_code == 500
    assert client.get("/b3os/v1/executions").status_code == 500
    assert client.get("/b3os/v1/runs").status_code == 200


def test_faults_can_be_changed_while_the_server_runs(world: World) -> None:
    server = world.start(settings(error_503=1.0))
    client = world.client(server)

    before = client.get(LIST).status_code
    server.set_faults(Faults())

    assert (before, client.get(LIST).status_code) == (503, 200)


def test_rates_are_kept_and_the_same_for_the_same_seed() -> None:
    faults = Faults(seed=3, rate_limit=0.05, error_500=0.02, drop=0.01, repeat_page=0.1)
    found = [find_fault(faults, number, "riza.list") for number in range(20_000)]
    shares = {name: count / 20_000 for name, count in Counter(found).items() if name}

    assert shares == pytest.approx(
        {"rate_limit": 0.05, "error_500": 0.02, "drop": 0.01, "repeat_page": 0.1}, rel=0.2
    )
    assert found == [find_fault(faults, number, "riza.list") for number in range(20_000)]
    other = Faults(seed=4, rate_limit=0.05, error_500=0.02, drop=0.01, repeat_page=0.1)
    assert found != [find_fault(other, number, "riza.list") for number in range(20_000)]


def test_each_rate_makes_its_own_fault() -> None:
    for name in FAULT_NAMES:
        if name == "no_retry":
            continue
        assert find_fault(Faults(**{name: 1.0}), 1, "riza.list") == name


@pytest.mark.parametrize("wrong", [{"script": {1: "explode"}}, {"drop": 0.6, "cut": 0.6}])
def test_impossible_faults_are_refused(wrong) -> None:
    with pytest.raises(ValueError, match=r"unknown faults|more than 1"):
        Faults(**wrong)
