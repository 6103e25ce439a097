"""Time that may be spent."""

import threading

import pytest

from etl.budget import Budget, BudgetEnded, start_budget


def test_a_budget_without_a_deadline_never_ends() -> None:
    budget = start_budget(None)

    budget.wait(0.0)

    assert budget.remaining_s() == float("inf")
    assert not budget.is_over()


def test_a_budget_is_over_when_its_deadline_has_passed() -> None:
    budget = start_budget(0.0)

    assert budget.remaining_s() == 0.0
    assert budget.is_over()


def test_a_wait_that_does_not_fit_ends_the_budget_at_once() -> None:
    budget = start_budget(1_000.0)

    with pytest.raises(BudgetEnded, match="does not fit"):
        budget.wait(2_000.0)

    assert not budget.is_over(), "what is left may still be used by something shorter"


def test_a_stop_request_ends_the_budget() -> None:
    budget = Budget()

    budget.stop.set()

    assert budget.is_over()
    with pytest.raises(BudgetEnded):
        budget.wait(0.0)


def test_a_stop_request_cuts_a_wait_short() -> None:
    budget = Budget()
    stopper = threading.Timer(0.01, budget.stop.set)
    stopper.start()

    with pytest.raises(BudgetEnded, match="asked to stop"):
        budget.wait(600.0)

    stopper.join()
