"""`etl init`: a configuration to start from."""

import click

from etl.cli.shell import Shell, pass_shell, say, shared_options
from etl.errors import ConfigError

TEMPLATE = """\
# Which execution histories to keep, and where. Check it: etl check. Then: etl sync

[store]
path = "executions.duckdb"          # relative to this file
# publish = "analytics.duckdb"      # a read-only copy for dashboards, replaced after each sync
# timezone = "Europe/Berlin"        # where days begin in the views; default: UTC

# A source is one account of one platform. Its name stands in every row. Take away the # in front
# of those that you have. Secrets do not belong here: token_env is the NAME of the environment
# variable that holds the token.

# [sources.interpreter]
# kind = "riza"
# token_env = "RIZA_API_KEY"

# [sources.foundry]
# kind = "foundry"
# base_url = "https://example.palantirfoundry.com"
# token_env = "FOUNDRY_TOKEN"
# resources = ["ri.function-registry.main.function.00000000-0000-0000-0000-000000000000"]
# since = 2026-01-01T00:00:00Z      # where the history begins; foundry needs it
# where = { type = "eq", field = "status", value = "FAILED" }   # only these executions
# window_days = 30                  # how much time one list covers

# [sources.workflows]
# kind = "b3os"
# token_env = "B3OS_API_KEY"
# runs = true                       # also those that nobody started from outside
# events = true                     # what happened within each; one more request per execution
# org_id = "your-organization"      # for keys of several organizations

# [sources.airflow]
# kind = "airflow"
# base_url = "https://airflow.example.com"
# token_env = "AIRFLOW_TOKEN"

# Each source may also have:
#
# since = 2026-01-01T00:00:00Z      # how far back to go; default: all there is
# lookback = "24h"                  # what is read again each time, for records that come late
# page_size = 100
# requests_per_second = 5           # default: as fast as the API answers
# concurrency = 4                   # lists read at the same time
# payloads = "redacted"             # or "none", or "full": credentials and all
# file_contents = false             # keep the contents of uploaded files
# detect_secrets = false            # also look for secrets in texts by their shape

# [sync]
# batch_rows = 5000                 # a commit comes after this many rows,
# batch_seconds = 1.0               # or after this time

# [notify]
# ping_url = "https://hc-ping.com/your-check"   # told at start, success and failure
"""


@click.command()
@shared_options
@pass_shell
def command(shell: Shell) -> None:
    """Write a commented etl.toml to start from."""
    file = shell.config_file
    try:
        with file.open("x", encoding="utf-8") as stream:
            stream.write(TEMPLATE)
    except FileExistsError:
        raise ConfigError(f"{file}: there is one already; it was left as it is") from None
    except OSError as error:
        raise ConfigError(f"{file}: cannot be written: {error.strerror}") from None
    say(shell, "info", f"{file}: written; name your sources in it, then run: etl check")
