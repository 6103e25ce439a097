"""Pieces of a text that are replaced, and what that leaves."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple


class Edit(NamedTuple):
    """One piece of a text and what stands there instead."""

    start: int
    end: int
    replacement: str


@dataclass(slots=True)
class Edited:
    """Text without its secrets, how many values were replaced, and which secrets they were."""

    text: str
    count: int = 0
    secrets: list[str] = field(default_factory=list)


def apply_edits(text: str, edits: Iterable[Edit]) -> str:
    """The text with its pieces replaced; the edits are in order and do not overlap."""
    pieces: list[str] = []
    place = 0
    for start, end, replacement in edits:
        pieces += (text[place:start], replacement)
        place = end
    return "".join((*pieces, text[place:])) if pieces else text
