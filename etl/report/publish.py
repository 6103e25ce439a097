"""The page as a file: whole or not at all."""

import contextlib
from pathlib import Path

from etl.errors import ConfigError


def write_page(path: Path, page: str) -> None:
    """Replace the file at once; who is killed meanwhile leaves the old one. Raises ConfigError.

    A device or a pipe is written to, never replaced.
    """
    draft = path.with_name(f".{path.name}.new")
    try:
        if path.exists() and not path.is_file():
            path.write_text(page, encoding="utf-8")
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        draft.write_text(page, encoding="utf-8")
        draft.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)
        raise ConfigError(f"{path}: cannot be written: {error.strerror}") from None
