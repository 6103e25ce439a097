"""`python -m etl` is `etl`."""

from etl.cli import run

run()
