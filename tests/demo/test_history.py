"""The made-up histories: the same in every process, growing with the clock, and believable."""

import json
import math
import random
import subprocess
import sys
from bisect import bisect_right
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from statistics import fmean, median, pstdev

import msgspec
import pytest

from etl.demo.chance import iso_ms, iso_short, read_base32, ulid, unix_ms
from etl.demo.grid import EPOCH_MS, Span, find_incident_day, is_incident
from etl.demo.history_b3os import B3osHistory, reached_steps
from etl.demo.history_foundry import FoundryHistory
from etl.demo.history_riza import RizaHistory

from .conftest import NOW

NOW_MS = unix_ms(NOW)
PRINT_DIGESTS = """
import hashlib, json
from datetime import datetime
from etl.demo.b3os_records import make_execution
from etl.demo.history_b3os import B3osHistory
from etl.demo.history_foundry import FoundryHistory
from etl.demo.history_riza import RizaHistory

riza, b3os = RizaHistory(), B3osHistory()
moment_ms = 1_795_000_000_000
stream = next(iter(FoundryHistory().streams.values()))
records = {
    "riza": [riza.listed(index) for index in range(180_000, 180_200)],
    "foundry": [stream.execution(index) for index in range(90_000, 90_200)],
    "b3os": [make_execution(b3os, b3os.facts(n), moment_ms) for n in range(180_000, 180_200)],
}
digests = {name: hashlib.sha256(json.dumps(made).encode()) for name, made in records.items()}
print(json.dumps({name: digest.hexdigest() for name, digest in digests.items()}))
"""


@pytest.fixture(scope="module")
def riza() -> RizaHistory:
    return RizaHistory()


@pytest.fixture(scope="module")
def executions(riza: RizaHistory):
    return [riza.execution(index) for index in riza.visible(NOW)]


def failed(execution) -> bool:
    response = execution["details"]["response"]
    return execution["exit_code"] != 0 or response.get("output_status", "valid") != "valid"


def test_the_same_index_is_the_same_record_in_any_process() -> None:
    runs = [
        subprocess.run(
            [sys.executable, "-c", PRINT_DIGESTS],
            env={"PYTHONHASHSEED": seed, "TZ": zone, "PYTHONPATH": ":".join(sys.path)},
            capture_output=True,
            check=True,
            text=True,
        ).stdout
        for seed, zone in [("1", "UTC"), ("2", "America/New_York")]
    ]

    assert runs[0] == runs[1]
    assert set(json.loads(runs[0])) == {"riza", "foundry", "b3os"}


def test_another_seed_is_another_history(riza: RizaHistory) -> None:
    other = RizaHistory(seed=1)

    assert other.execution(180_000) != riza.execution(180_000)
    assert not set(other.vault.values()) & set(riza.vault.values())


def test_a_later_now_keeps_the_past_and_adds_to_it(riza: RizaHistory) -> None:
    earlier, later = riza.visible(NOW), riza.visible(NOW + timedelta(hours=1))

    assert len(earlier) == len(later) == 5_000
    assert later.stop > earlier.stop
    assert later.start > earlier.start
    new = [riza.started_ms(index) for index in range(earlier.stop, later.stop)]
    assert all(NOW_MS < started_ms <= NOW_MS + 3_600_000 for started_ms in new)


def test_with_an_origin_nothing_leaves_the_list() -> None:
    history = RizaHistory(Span(origin=NOW - timedelta(days=30)))
    days = [history.visible(NOW + timedelta(days=day)) for day in range(20)]

    assert {visible.start for visible in days} == {days[0].start}
    assert [visible.stop for visible in days] == sorted({visible.stop for visible in days})
    assert history.started_ms(days[0].start) >= NOW_MS - 30 * 86_400_000
    assert history.started_ms(days[0].start - 1) < NOW_MS - 30 * 86_400_000


def test_before_its_origin_a_history_is_empty() -> None:
    history = RizaHistory(Span(origin=NOW))

    assert len(history.visible(NOW - timedelta(days=3))) == 0


def test_nothing_is_seen_after_the_end() -> None:
    history = RizaHistory(Span(end=NOW))

    assert history.visible(NOW + timedelta(days=9)) == history.visible(NOW)
    assert history.started_ms(history.visible(NOW)[-1]) <= NOW_MS


@pytest.mark.parametrize("span", [(0, 90.0), (5, 0.0)])
def test_a_history_of_nothing_is_refused(span) -> None:
    with pytest.raises(ValueError, match="at least one"):
        Span(*span)


@pytest.mark.parametrize(("executions", "days"), [(5_000, 90.0), (300, 2.0), (1_000_000, 90.0)])
def test_times_and_indexes_are_exact_inverses(executions, days) -> None:
    seed = random.randrange(10**6)
    generator = random.Random(seed)
    history = RizaHistory(Span(executions, days))
    first = generator.randrange(-50_000, 500_000)
    starts = [history.started_ms(index) for index in range(first, first + 2_000)]

    assert starts == sorted(starts), f"seed {seed}"
    for _ in range(300):
        time_ms = generator.randrange(starts[0], starts[-1])
        wanted = first + bisect_right(starts, time_ms) - 1
        assert history.index_at(time_ms) == wanted, f"seed {seed}, time {time_ms}"
    for place in generator.sample(range(1_990), 100):
        wanted = first + bisect_right(starts, starts[place]) - 1
        assert history.index_at(starts[place]) == wanted, f"seed {seed}, place {place}"


def test_the_history_spans_its_days(riza: RizaHistory) -> None:
    visible = riza.visible(NOW)
    span_ms = riza.started_ms(visible[-1]) - riza.started_ms(visible[0])

    assert 87 < span_ms / 86_400_000 < 93


def test_ids_sort_by_time_also_within_a_millisecond(riza: RizaHistory) -> None:
    visible = riza.visible(NOW)
    ids = [riza.execution_id(index) for index in visible]
    starts = Counter(riza.started_ms(index) for index in visible)

    assert ids == sorted(set(ids))
    assert sum(count > 1 for count in starts.values()) > 20
    assert [read_base32(identity[:10]) for identity in ids] == sorted(starts.elements())


def test_an_id_finds_its_index(riza: RizaHistory) -> None:
    for index in (*riza.visible(NOW)[::50], -3, 0, 16_777_215, 16_777_216, 40_000_001):
        assert riza.find_index(riza.execution_id(index)) == index


@pytest.mark.parametrize("change", [lambda i: "", lambda i: i[:-1], lambda i: i.lower(),
                                    lambda i: "1" + i[1:], lambda i: i[:-1] + "~",
                                    lambda i: i[:12] + "0000" + i[16:], lambda i: "7" * 26,
                                    lambda i: i + "0", lambda i: "é" * 26])  # fmt: skip
def test_an_id_that_was_never_given_finds_nothing(riza: RizaHistory, change) -> None:
    assert riza.find_index(change(riza.execution_id(180_001))) is None


def test_between_five_and_nine_percent_fail_on_each_platform(executions) -> None:
    b3os, foundry = B3osHistory(), FoundryHistory()
    statuses = Counter(
        reached_steps(b3os.facts(index), NOW_MS)[-1].status for index in b3os.visible(NOW)
    )
    results = Counter(
        stream.facts(index).status
        for stream in foundry.streams.values()
        for index in stream.visible(NOW)
    )
    bad = statuses["workflow_failed"] + statuses["workflow_partial"]

    assert 0.05 <= sum(map(failed, executions)) / len(executions) <= 0.09
    assert 0.05 <= results["FAILED"] / results.total() <= 0.09
    assert 0.05 <= bad / (bad + statuses["workflow_succeeded"]) <= 0.09


def test_one_day_stands_out_as_an_incident(executions) -> None:
    days = Counter(execution["started_at"][:10] for execution in executions)
    failures = Counter(one["started_at"][:10] for one in executions if failed(one))
    rates = sorted((failures[day] / count, count) for day, count in days.items() if count >= 30)

    worst, count = rates[-1]
    assert worst > 0.3
    assert count > 40
    assert worst > 3 * median(rate for rate, _ in rates)


def test_any_ninety_days_show_an_incident(riza: RizaHistory) -> None:
    days = [find_incident_day(riza.seed, block) for block in range(200)]
    gaps = [later - earlier for earlier, later in pairwise(days)]

    assert max(gaps) < 90
    assert {day % 7 for day in days} <= {0, 1, 2, 3, 4}
    for day in days:
        noon_ms = EPOCH_MS + day * 86_400_000 + 43_200_000
        assert is_incident(riza.seed, noon_ms)
        assert not is_incident(riza.seed, noon_ms - 86_400_000)
        assert not is_incident(riza.seed, noon_ms - 39_600_000)


def test_all_languages_and_kinds_occur_python_most(executions) -> None:
    languages = Counter(execution["language"] for execution in executions)
    kinds = Counter(execution["details"]["type"] for execution in executions)

    assert set(languages) == {"python", "javascript", "typescript", "ruby", "php"}
    assert languages.most_common(1)[0][0] == "python"
    assert 0.55 < languages["python"] / len(executions) < 0.8
    assert min(kinds[kind] for kind in ("tool", "function", "script")) > 800


def test_failures_are_believable(executions) -> None:
    bad = [one for one in executions if failed(one)]
    results = [
        one["details"]["response"].get("execution", one["details"]["response"]) for one in bad
    ]
    texts = "\n".join(result["stderr"] for result in results)

    for text in (
        "Traceback (most recent call last)",
        "ModuleNotFoundError: No module named 'pandas'",
        "429",
        "TypeError: Cannot read properties of undefined",
        "SyntaxError",
    ):
        assert text in texts
    assert "{" not in texts.replace("#0 {main}", "")
    killed = [one for one in bad if one["exit_code"] == 137]
    assert any(one["duration"] >= 30_000 for one in killed)
    assert any(
        one["exit_code"] == 0
        and one["details"]["response"]["output_status"] == "json_serialization_error"
        for one in bad
    )


def test_a_failed_run_may_be_tried_again_with_the_same_input(riza: RizaHistory, executions) -> None:
    pairs = [
        (first, second)
        for first, second in pairwise(executions)
        if failed(first)
        and first["details"]["request"] == second["details"]["request"]
        and first["details"]["request"].get("input") is not None
    ]

    assert len(pairs) > 10
    assert any(not failed(second) for _, second in pairs)
    assert any(failed(second) for _, second in pairs)
    for first, second in pairs:
        gap = datetime.fromisoformat(second["started_at"]) - datetime.fromisoformat(
            first["started_at"]
        )
        assert timedelta(0) < gap < timedelta(minutes=3)


def test_durations_are_log_normal(executions) -> None:
    logs = [
        math.log(one["details"]["response"]["execution"]["duration"])
        for one in executions
        if one["details"].get("tool_id") and one["language"] == "typescript" and not failed(one)
    ]

    assert len(logs) > 200
    assert abs(fmean(logs) - median(logs)) < 0.2
    assert 0.5 < pstdev(logs) < 0.9


def test_work_follows_working_hours(executions) -> None:
    hours = Counter(execution["started_at"][11:13] for execution in executions)
    days = Counter(
        datetime.fromisoformat(execution["started_at"]).weekday() for execution in executions
    )

    assert hours["11"] > 5 * hours["03"]
    assert min(days[day] for day in range(5)) > 1.5 * max(days[5], days[6])


def test_about_one_in_a_hundred_is_listed_without_details(riza: RizaHistory) -> None:
    visible = riza.visible(NOW)
    bare = [index for index in visible if "details" not in riza.listed(index)]

    assert 20 < len(bare) < 90
    assert bare == [index for index in visible if not riza.is_listed_whole(index)]
    whole = riza.execution(bare[0])
    assert riza.listed(bare[0]) == {name: whole[name] for name in whole if name != "details"}


def test_credentials_are_planted_where_people_leave_them(riza: RizaHistory, executions) -> None:
    requests = [execution["details"]["request"] for execution in executions]
    forms = {
        form
        for request in requests
        for entry in request.get("http", {}).get("allow", [])
        for form in entry.get("auth", {})
    }
    everything = msgspec.json.encode(executions).decode()
    outputs = [
        execution["details"]["response"].get("execution", execution["details"]["response"])[
            "stdout"
        ]
        for execution in executions
    ]

    assert forms == {"basic", "bearer", "header", "query"}
    assert {type(request["env"]) for request in requests if "env" in request} == {list, dict}
    assert all(secret in everything for secret in riza.vault.values())
    assert sum(any(secret in text for secret in riza.vault.values()) for text in outputs) > 20
    assert any(riza.vault["mail_password"] in str(request.get("input")) for request in requests)
    assert any(riza.vault["github_token"] in request.get("code", "") for request in requests)
    assert f"postgresql://rollup:{riza.vault['database_password']}@" in everything
    assert '"secret_id"' in everything


def test_sizes_have_a_long_tail(executions) -> None:
    sizes = sorted(len(msgspec.json.encode(execution)) for execution in executions)

    assert 1_000 < sizes[2_500] < 2_500
    assert sizes[4_950] > 5 * sizes[2_500]
    assert sizes[-1] < 100_000


def test_times_are_written_as_the_platforms_write_them() -> None:
    moment_ms = unix_ms(datetime(2026, 3, 1, 10, 0, 3, 120_000, tzinfo=UTC))

    assert iso_ms(moment_ms) == "2026-03-01T10:00:03.120Z"
    assert iso_short(moment_ms) == "2026-03-01T10:00:03.12Z"
    assert iso_short(moment_ms - 120) == "2026-03-01T10:00:03Z"
    assert iso_short(moment_ms + 3) == "2026-03-01T10:00:03.123Z"


def test_ulids_are_those_of_the_specification() -> None:
    assert ulid(0, 0) == "0" * 26
    assert ulid((1 << 48) - 1, (1 << 80) - 1) == "7" + "Z" * 25
    assert ulid(1_469_918_176_385, 0)[:10] == "01ARYZ6S41"
