"""The histories of Foundry and B3OS: executions that complete late, change, and open again."""

import msgspec

from etl.demo.b3os_records import make_execution, make_run
from etl.demo.chance import iso_short, unix_ms
from etl.demo.history_b3os import FINAL_STATUSES, B3osHistory, next_change_ms, reached_steps
from etl.demo.history_foundry import DURATION_MAX_MS, FoundryHistory

from .conftest import NOW

NOW_MS = unix_ms(NOW)


def test_foundry_durations_come_in_many_units_and_take_up_to_hours() -> None:
    facts = [
        stream.facts(index)
        for stream in FoundryHistory().streams.values()
        for index in stream.visible(NOW)
    ]

    assert {one.unit for one in facts} == {"MILLISECONDS", "SECONDS", "MINUTES", "HOURS"}
    longest_ms = max(one.completed_ms - one.started_ms for one in facts)
    assert 4 * 3_600_000 < longest_ms <= DURATION_MAX_MS
    assert min(one.duration for one in facts) >= 1


def test_a_success_may_carry_a_failure_reason() -> None:
    """So it is in the API's own example: failure is the status, not the reason."""
    records = [
        stream.execution(index)
        for stream in FoundryHistory().streams.values()
        for index in stream.visible(NOW)
    ]

    assert all("failureReason" in one for one in records if one["status"] == "FAILED")
    odd = [one for one in records if one["status"] == "SUCCEEDED" and "failureReason" in one]
    assert 0 < len(odd) < 60
    assert 0 < sum("callerRid" not in one for one in records) < len(records) / 3


def test_an_execution_only_moves_forward_through_its_steps() -> None:
    history = B3osHistory()
    opened_again, seen = 0, set()
    for index in history.visible(NOW):
        facts = history.facts(index)
        times = [step.at_ms for step in facts.steps]
        assert times[0] == facts.created_ms
        assert times == sorted(set(times)), index
        finals = [step.status for step in facts.steps if step.status in FINAL_STATUSES]
        assert facts.steps[-1].status == finals[-1]
        opened_again += len(finals) > 1
        seen |= {step.status for step in facts.steps}
        for step in facts.steps:
            assert reached_steps(facts, step.at_ms)[-1] == step
            assert next_change_ms(facts, step.at_ms - 1) == step.at_ms
        assert next_change_ms(facts, times[-1]) is None

    assert opened_again > 20
    assert len(seen) == 9


def test_a_record_says_what_its_last_step_says() -> None:
    history = B3osHistory()
    for index in history.visible(NOW)[::23]:
        facts = history.facts(index)
        for step in facts.steps:
            record = make_execution(history, facts, step.at_ms)
            run = make_run(history, facts, step.at_ms)

            assert (record["status"], record["updatedAt"]) == (step.status, iso_short(step.at_ms))
            assert ("finishedAt" in record) == (step.status in FINAL_STATUSES)
            if step.status == "workflow_queued":
                assert "startedAt" not in record
            if run is not None and "runId" in record and run["triggerSource"] == "execution":
                assert run.get("finishedAt") == record.get("finishedAt")


def test_credentials_are_planted_in_the_payloads_of_b3os() -> None:
    history = B3osHistory()
    payloads = [
        make_execution(history, history.facts(index), NOW_MS)["requestPayload"]
        for index in history.visible(NOW)[-300:]
    ]

    everything = msgspec.json.encode(payloads).decode()
    assert all(secret in everything for secret in history.vault.values())


def test_an_execution_id_of_b3os_finds_its_index() -> None:
    history = B3osHistory()
    facts = history.facts(180_000)
    identity = make_execution(history, facts, NOW_MS)["id"]

    assert history.find_index(identity) == 180_000
    assert history.find_index(identity[:-1] + "0") is None
    assert history.find_index("exec_") is None
