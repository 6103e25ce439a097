"""Numbers, durations and times: what people read."""

from datetime import timedelta

import pytest

from etl.records import EPOCH
from etl.wording import format_count, format_duration, format_number, format_share, format_time


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0.0, "0"),
        (0.0714285, "0.0714"),
        (-0.5, "-0.5000"),
        (1.5, "1.500"),
        (12.3456, "12.35"),
        (12345.678, "12346"),
        (0.00001, "1e-05"),
        (1e16, "1e+16"),
        (float("inf"), "inf"),
        (float("nan"), "nan"),
    ],
)
def test_fractions_have_four_digits_that_count(number: float, text: str) -> None:
    assert format_number(number) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (0.0421, "42.1ms"),
        (1.234, "1.23s"),
        (59.6, "1min"),
        (61, "1min 1s"),
        (3600, "1h"),
        (3605, "1h"),
        (90_000, "1d 1h"),
        (90 * 86_400, "90d"),
    ],
)
def test_durations_have_two_units(seconds: float, text: str) -> None:
    assert format_duration(timedelta(seconds=seconds)) == text


def test_counts_are_grouped_by_spaces_that_do_not_break() -> None:
    assert format_count(1234567) == "1\u202f234\u202f567"


def test_the_beginning_of_all_time_has_a_name() -> None:
    assert (format_time(EPOCH), format_time(None)) == ("the beginning", "")


def test_a_share_is_in_percent_and_none_is_nothing() -> None:
    assert (format_share(0.0714), format_share(None)) == ("7.1\u202f%", "")
