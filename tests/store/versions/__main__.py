"""Records a store as this version writes it: `python -m tests.store.versions`.

Run it before SCHEMA_VERSION grows, and keep the file: every later version must be able to upgrade
it. Rows of two sources, a child table, the ledger, two runs and a quarantined record are in it.
"""

from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb

from etl.store.schema import SCHEMA_VERSION
from tests.cli.stage import CONFIG, RizaApi, Stage, make_record

HERE = Path(__file__).parent
KEY = "0123456789abcdef" * 4
"""What the fingerprints in the recorded stores were made with."""
SOURCES = CONFIG + CONFIG.replace("interpreter", "sandbox")


def record(folder: Path, target: Path) -> None:
    """Two syncs of a small account, shrunk to as few blocks as it takes."""
    broken = make_record(4, duration="long")
    api = RizaApi([*(make_record(number) for number in (1, 2, 3)), broken])
    stage = Stage(folder, api)
    stage.configure(SOURCES)
    key = stage.store.with_name(stage.store.name + ".key")
    key.write_text(KEY)
    key.chmod(0o600)
    for now in (stage.now, stage.now + timedelta(hours=1)):
        result = stage.but(now=now).run("--config", str(folder / "etl.toml"), "sync")
        assert result.exit_code == 0, result.stderr
    target.unlink(missing_ok=True)
    with duckdb.connect() as connection:
        connection.execute(f"ATTACH '{stage.store}' AS store (READ_ONLY)")
        connection.execute(
            f"ATTACH '{target}' AS copy (STORAGE_VERSION 'v1.5.0', BLOCK_SIZE 16384)"
        )
        connection.execute("COPY FROM DATABASE store TO copy")


if __name__ == "__main__":
    with TemporaryDirectory() as folder:
        record(Path(folder), HERE / f"v{SCHEMA_VERSION}.duckdb")
