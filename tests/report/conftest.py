"""Histories that every figure is asked about, and the page that is made of one."""

import pytest

from etl.report.figures import Figures
from etl.report.page import render_page
from etl.report.read import read_figures
from tests.views.conftest import CASES, Case, build_case
from tests.views.history import History, make_history
from tests.views.store import NOW

ALL_DAYS = 61
"""The histories of the tests reach 60 days back."""


@pytest.fixture(params=("none", "one", "seed 1"), scope="module")
def case(request: pytest.FixtureRequest) -> Case:
    """No execution, one, and many of several sources with gaps in their coverage."""
    history = make_history(CASES[request.param] or 0)
    if request.param == "none":
        history = History()
    elif request.param == "one":
        history = History(riza=history.riza[:1], coverage=history.coverage[:1])
    return build_case(history)


@pytest.fixture(scope="module")
def figures(case: Case) -> Figures:
    """Of the whole history."""
    return read_figures(case.store, (), ALL_DAYS, NOW)


@pytest.fixture(scope="module")
def page(figures: Figures) -> str:
    return render_page(figures, "executions.duckdb")
