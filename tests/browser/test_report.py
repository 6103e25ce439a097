"""The report in a real browser: silent, alone, readable in every light and at every width."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page

from tests.browser.conftest import Shown
from tests.report.test_page import HOSTILE

Show = Callable[..., Shown]
SCHEMES = ("light", "dark")
A4_WITHOUT_MARGINS = 695
"""Its width in pixels of CSS, of which 96 are an inch."""
CONTRAST_MIN = 4.5
"""Of the Web Content Accessibility Guidelines, level AA."""
CONTRAST = """
selector => {
  const luminance = colour => {
    const [r, g, b] = colour.match(/[0-9.]+/g).slice(0, 3).map(part => {
      const share = part / 255
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4
    })
    return 0.2126 * r + 0.7152 * g + 0.0722 * b
  }
  const paint = getComputedStyle(document.querySelector(selector)).color
  const pair = [paint, getComputedStyle(document.body).backgroundColor].map(luminance).sort()
  const [low, high] = pair[0] < pair[1] ? pair : pair.reverse()
  return (high + 0.05) / (low + 0.05)
}
"""


@pytest.mark.parametrize("width", ["wide", "phone"])
@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("name", ["report_file", "hostile_file"])
def test_it_loads_without_a_message_or_a_request_and_fits_its_window(
    request: pytest.FixtureRequest, show: Show, name: str, width: str, scheme: str
) -> None:
    file = request.getfixturevalue(name)

    shown = show(file, width, scheme)

    assert shown.said == []
    assert shown.requests == [file.as_uri()]
    overhang = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert shown.page.evaluate(overhang) == 0


def test_what_the_data_says_is_shown_and_not_run(hostile_file: Path, show: Show) -> None:
    shown = show(hostile_file)

    text = shown.page.inner_text("body")
    assert all(attack in text for attack in HOSTILE)
    assert shown.page.evaluate("document.scripts.length + document.images.length") == 0
    assert shown.said == []


def test_the_policy_stops_what_would_be_written_into_the_page(
    report_file: Path, show: Show, tmp_path: Path
) -> None:
    """Were anything not escaped, it still could neither run nor load."""
    added = "<script>console.log('ran')</script><img src='http://127.0.0.1:9/x.png'>"
    file = tmp_path / "forged.html"
    file.write_text(report_file.read_text().replace("<main>", f"<main>{added}"))

    shown = show(file)

    assert "ran" not in shown.said
    assert sum("Content Security Policy" in line for line in shown.said) == 2


def test_dark_and_light_differ_in_page_and_drawings(report_file: Path, show: Show) -> None:
    colours = [read_colours(show(report_file, "wide", scheme).page) for scheme in SCHEMES]

    assert colours[0][0] == "rgb(255, 255, 255)"
    assert all(light != dark for light, dark in zip(*colours, strict=True))


def read_colours(page: Page) -> list[str]:
    """Of the page, of its texts, and of a line and a label of its first drawing."""
    return [
        page.evaluate("getComputedStyle(document.body).backgroundColor"),
        page.evaluate("getComputedStyle(document.body).color"),
        *(
            page.evaluate(f"getComputedStyle(document.querySelector('{selector}')).{what}")
            for selector, what in (
                ('figure .wide path[stroke="var(--fail)"]', "stroke"),
                ("figure .wide text", "fill"),
            )
        ),
    ]


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("selector", ["body", ".soft", ".tile .note", "th", "small", ".bad"])
def test_texts_stand_out_from_the_page(
    report_file: Path, show: Show, selector: str, scheme: str
) -> None:
    page = show(report_file, "wide", scheme).page

    assert page.evaluate(CONTRAST, selector) >= CONTRAST_MIN


def test_a_wide_window_shows_the_wide_drawings(report_file: Path, show: Show) -> None:
    assert_drawings(show(report_file, "wide").page, "wide", "narrow")


def test_a_phone_shows_drawings_whose_labels_can_be_read(report_file: Path, show: Show) -> None:
    page = show(report_file, "phone").page

    assert_drawings(page, "narrow", "wide")
    assert min(measure_labels(page)) >= 10


def measure_labels(page: Page) -> list[float]:
    """The heights of the labels of the drawings for narrow places, in pixels of CSS."""
    heights: list[float] = page.evaluate(
        "[...document.querySelectorAll('figure .narrow text')]"
        ".map(text => text.getBoundingClientRect().height)"
    )
    return heights


def assert_drawings(page: Page, seen: str, hidden: str) -> None:
    shown = {kind: page.locator(f"figure .{kind} svg").all() for kind in (seen, hidden)}

    assert len(shown[seen]) == len(shown[hidden]) > 0
    assert all(drawing.is_visible() for drawing in shown[seen])
    assert not any(drawing.is_visible() for drawing in shown[hidden])


def test_each_day_of_a_drawing_says_its_figures(report_file: Path, show: Show) -> None:
    page = show(report_file).page

    titles = page.locator("figure .wide").first.locator("title").all_text_contents()

    assert len(titles) == 30
    assert all(re.search(r"^\w{3} \d\d \w{3}.*: ", title) for title in titles)


def test_paper_is_white_also_for_who_prefers_the_dark(report_file: Path, show: Show) -> None:
    page = show(report_file, "wide", "dark").page

    page.emulate_media(media="print", color_scheme="dark")

    assert read_colours(page)[0] == "rgb(255, 255, 255)"
    document = page.pdf(format="A4", prefer_css_page_size=True)
    assert document.startswith(b"%PDF")
    assert 2 <= len(re.findall(rb"/Type\s*/Page\b", document)) <= 8


def test_paper_shows_two_drawings_side_by_side_whose_labels_can_be_read(
    report_file: Path, show: Show
) -> None:
    page = show(report_file).page

    page.emulate_media(media="print")
    page.set_viewport_size({"width": A4_WITHOUT_MARGINS, "height": 900})

    assert_drawings(page, "narrow", "wide")
    assert min(measure_labels(page)) >= 10
    left, right = [figure.bounding_box() for figure in page.locator(".pair figure").all()[:2]]
    assert left is not None
    assert right is not None
    assert left["y"] == right["y"]
    assert left["x"] + left["width"] < right["x"]
