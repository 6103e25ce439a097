"""A real Chromium, and pages for it to show."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from etl.report.page import render_page
from etl.report.read import read_figures
from tests.report.test_page import HOSTILE, read_hostile_figures
from tests.views.conftest import build_case
from tests.views.history import make_history
from tests.views.store import NOW

CHROMIUM = Path(__file__).parent.parent.parent / ".browser" / "chromium"
WIDTHS = {"wide": 1280, "phone": 390}


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium with its own libraries; as root it runs without its sandbox."""
    environ = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/")}
    environ |= {"LD_LIBRARY_PATH": str(CHROMIUM / "lib")}
    environ |= {"FONTCONFIG_PATH": str(CHROMIUM / "fonts")}
    arguments = ["--no-sandbox"] if os.getuid() == 0 else []
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=CHROMIUM / "chromium", args=arguments, env=environ
        )
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def report_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of many executions of several sources, with gaps."""
    store = build_case(make_history(1)).store
    return write(tmp_path_factory, render_page(read_figures(store, (), 30, NOW), "store"))


@pytest.fixture(scope="session")
def hostile_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a store in which every text is an attack."""
    return write(tmp_path_factory, render_page(read_hostile_figures(), HOSTILE[0]))


def write(factory: pytest.TempPathFactory, page: str) -> Path:
    path = factory.mktemp("report") / "report.html"
    path.write_text(page, encoding="utf-8")
    return path


@dataclass
class Shown:
    """A page that a browser shows, and what it said and asked for meanwhile."""

    page: Page
    said: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


@pytest.fixture
def show(browser: Browser) -> Iterator[Callable[[Path, str, str], Shown]]:
    """Show a file in a window of some width and in a colour scheme."""
    contexts = []

    def open_page(file: Path, width: str = "wide", scheme: str = "light") -> Shown:
        context = browser.new_context(
            viewport={"width": WIDTHS[width], "height": 900}, color_scheme=scheme
        )
        contexts.append(context)
        shown = Shown(context.new_page())
        shown.page.on("console", lambda message: shown.said.append(message.text))
        shown.page.on("pageerror", lambda error: shown.said.append(str(error)))
        shown.page.on("dialog", lambda dialog: shown.said.append(dialog.message))
        shown.page.on("request", lambda request: shown.requests.append(request.url))
        shown.page.goto(file.as_uri(), wait_until="load")
        return shown

    yield open_page
    for context in contexts:
        context.close()
