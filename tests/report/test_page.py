"""The page: what stands on it, and what can never happen in it."""

import base64
import hashlib
import re
from html.parser import HTMLParser
from typing import Any

import pytest

from etl.report.figures import Figures
from etl.report.page import mask_text, name_period, render_page, shorten_id
from etl.report.read import read_figures
from etl.wording import format_count, format_share
from tests.report.test_read import make_row
from tests.views.conftest import Case
from tests.views.store import NOW, insert, insert_coverage, open_store

HOSTILE = (
    "<script>alert(1)</script>",
    "</style><img src=x onerror=alert(2)>",
    "\"'><a href=javascript:alert(3)>{{ 7 * 7 }}{% raw %}",
    "<!-- --><svg/onload=alert(4)>&lt;script&gt;",
)


class Page(HTMLParser):
    """The elements of a page with their attributes, and its texts."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attributes)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def find(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(scope="module")
def hostile() -> Page:
    """The page of a store in which every text is an attack."""
    return Page(render_page(read_hostile_figures(), HOSTILE[0]))


def read_hostile_figures() -> Figures:
    store = open_store()
    for number, attack in enumerate(HOSTILE):
        row = make_row(attack, NOW, source=attack, type="tool", tool_id=attack, exit_code=1)
        # What stands in quotes is taken out of a message; here it is to stay.
        row["stderr"] = f"ValueError: {attack.replace(chr(34), '').replace(chr(39), '')}\n"
        insert(store, "riza.executions", [row])
        insert_coverage(store, "riza", attack, attack, [(NOW.replace(hour=number), NOW)])
        store.execute(
            "INSERT INTO etl.runs (run_id, source, stream, started_at, state, error) "
            "VALUES ('1', ?, ?, '2026-03-01T00:00:00Z', 'failed', ?)",
            [attack, attack, attack],
        )
    return read_figures(store, (), 3, NOW)


def test_texts_of_the_data_are_texts(hostile: Page) -> None:
    tags = {tag for tag, _ in hostile.elements}
    names = {name for _, attributes in hostile.elements for name in attributes}

    assert not tags & {"script", "img", "a", "iframe", "object", "form", "base", "use", "image"}
    assert not {name for name in names if name.startswith("on")} | names & {"style", "srcset"}
    text = "".join(hostile.texts)
    for attack in HOSTILE:
        assert text.count(attack) >= 4


def test_the_page_names_nothing_to_load(page: str) -> None:
    read = Page(page)
    addresses = [
        value
        for _, attributes in read.elements
        for name, value in attributes.items()
        if name in ("src", "href", "xlink:href", "action", "data", "poster")
    ]

    assert addresses == ["data:,"]
    assert "url(" not in page
    assert "@import" not in page
    assert not re.search(r"https?://", page)


def test_the_policy_allows_the_one_style_sheet_and_nothing_else(page: str) -> None:
    (style,) = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    (policy,) = [
        meta["content"]
        for meta in Page(page).find("meta")
        if meta.get("http-equiv") == "Content-Security-Policy"
    ]

    assert policy == (
        f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    # What comes before the policy is not held by it.
    assert page.index("Content-Security-Policy") < page.index("<style>")


def test_the_headline_holds_the_figures(figures: Figures, page: str) -> None:
    values = re.findall(r'<p class="value">(.*?)</p>', page)

    assert values[0] == format_count(figures.now.executions)
    assert values[1] == (format_share(figures.now.failures.rate) or "–")
    assert values[2] == format_count(figures.now.failures.failed)


def test_of_a_single_execution_the_page_does_not_speak_as_of_many(hostile: Page) -> None:
    said = " ".join(" ".join(hostile.texts).split())

    assert "riza · 1 execution ·" in said
    assert not re.search(r"\b1 executions", said)


def test_every_name_error_and_stream_that_was_read_is_shown(figures: Figures, page: str) -> None:
    bodies = re.findall(r"<tbody>(.*?)</tbody>", page, re.DOTALL)
    counts = [len(re.findall("<tr>", body)) for body in bodies]

    lists = (figures.names.rows, figures.errors.rows, figures.slowest, figures.streams.rows)
    assert counts == [max(1, len(rows)) for rows in lists]


def test_a_period_with_gaps_says_so(case: Case, figures: Figures, page: str) -> None:
    missing = [
        (s.source, sum(not day.is_complete for day in s.days[:-1])) for s in figures.sources.rows
    ]

    is_said = "Not all of this period is known." in page
    assert is_said is bool(figures.sources.rows and not figures.now.is_known)
    for source, days in missing:
        if days:
            assert f"<bdi>{source}</bdi>: {days} of 61 days" in page


def test_an_empty_store_makes_a_page_that_says_so(case: Case, page: str) -> None:
    if not case.executions:
        assert "There are no executions in the store yet." in page
        assert "Nothing failed in this time." in page
    assert "None" not in "".join(Page(page).texts)
    assert "nan" not in page


def test_where_nothing_has_finished_there_is_no_rate() -> None:
    store = open_store()
    row = make_row("e1", NOW, exit_code=None, duration_ms=None)
    insert(store, "riza.executions", [row])

    page = render_page(read_figures(store, (), 2, NOW), "executions.duckdb")

    assert re.findall(r'<p class="value">(.*?)</p>', page) == ["1", "–", "0", "–", "–", "0\u202fs"]
    assert "No duration is known." in page
    assert "Nothing finished." in page
    assert "No day with 5 successes." in page


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("connect postgres://me:hunter2hunter2@db/x", "connect postgres://me:***@db/x"),
        ("x" * 400, "x" * 300 + "…"),
        (7, 7),
        (None, None),
    ],
)
def test_what_a_template_prints_is_short_and_without_secrets(value: Any, shown: Any) -> None:
    assert mask_text(value) == shown


def test_a_secret_in_a_message_is_not_on_the_page() -> None:
    store = open_store()
    row = make_row("e1", NOW, exit_code=1, stderr="ValueError: api_key=sk-abcdefghijKLMNOPqrst\n")
    insert(store, "riza.executions", [row])

    page = render_page(read_figures(store, (), 2, NOW), "executions.duckdb")

    assert "ValueError: api_key=" in page
    assert "abcdefghij" not in page


@pytest.mark.parametrize(
    ("days", "name"),
    [
        (1, "15 March 2026"),
        (7, "9 – 15 March 2026"),
        (30, "14 February – 15 March 2026"),
        (90, "16 December 2025 – 15 March 2026"),
    ],
)
def test_a_period_is_named_without_saying_anything_twice(days: int, name: str) -> None:
    assert name_period(read_figures(open_store(), (), days, NOW).period) == name


def test_a_long_id_loses_its_middle() -> None:
    assert shorten_id("e" * 32) == "e" * 32
    assert shorten_id("a" * 20 + "b" * 20) == "a" * 16 + "…" + "b" * 16
