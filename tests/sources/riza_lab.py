"""What the tests of the Riza source share: its pages, a page of it, and all of a gap."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from etl.http import Client, open_client
from etl.records import EPOCH, Gap, Page, SourceConfig
from etl.sources import riza
from tests.budgets import RecordingBudget
from tests.sources.riza_account import (
    NOON,
    Account,
)

PAGES = Path(__file__).parent.parent / "pages" / "riza"
ALL = Gap(EPOCH, NOON + timedelta(days=1))
[STREAM] = riza.list_streams(None)


def read_page(name: str) -> Any:
    return json.loads((PAGES / name).read_text())


def make_config(page_size: int = 100) -> SourceConfig:
    return SourceConfig("prod", "riza", "http://riza", "TOKEN", "t", page_size=page_size)


@contextmanager
def client_of(account: Account) -> Iterator[Client]:
    with open_client(
        "prod", "http://riza", "t0ken", RecordingBudget(), transport=account.transport
    ) as client:
        yield client


def fetch(
    account: Account, position: str | None = None, gap: Gap = ALL, page_size: int = 100
) -> Page:
    with client_of(account) as client:
        return riza.fetch_page(client, make_config(page_size), STREAM, gap, position)


def walk(account: Account, page_size: int, gap: Gap = ALL) -> list[str]:
    """The ids of all pages of a walk, as they came."""
    ids = []
    position = None
    with client_of(account) as client:
        for _ in range(50):
            page = riza.fetch_page(client, make_config(page_size), STREAM, gap, position)
            ids += [mark.id for mark in page.marks]
            position = page.next
            if position is None:
                return ids
    raise AssertionError("the list has no end")
