"""Execution history into DuckDB. The data goes down this list:

cli        the commands: the only place that prints and exits
config     etl.toml -> which sources, with which settings; secrets only from the environment
toml       a table of a TOML file as a struct, or a refusal of one line
sync       the job: plan the gaps, walk them, write batches, log the run
sources/   one module per kind of API: fetch one page, flatten one record
http       one request: timeout, retry, rate
sockets    connections on which an answer has a time by which it is whole
refusals   what a server says when it does not do what it was asked
decode     JSON -> typed records; unknown fields and broken records are set aside, not lost
coverage   the ledger of what is known, as pure arithmetic on intervals
offsets    a place in a list that is paged by offset, found and kept while rows move
redact     credentials out of rows, before anything is written
drift      what an API sends and does not document: unknown fields and values
pending    records that wait for a commit: the last version of each
tables     the columns of the tables of the store, and rows of them in Arrow
store      the DuckDB file: a batch and its ledger in one transaction
views      sql/*.sql -> views
status     what is known of each stream, and how far it is behind
export/    tables and views as files: one per source and day, written again where rows changed
report/    one page of HTML: failure rates, durations, errors, coverage, and nothing from outside
metrics    the state of every stream as Prometheus reads it
notify     a dead man's switch is told that the job runs
publish    the copy of the store that dashboards may keep open
prune      old payloads or executions out of the store, and never in again
compact    the store without the room that deleted rows have left
demo/      the embedded APIs of `etl demo`
wording    numbers, durations and times as people read them
records    the words all of them share
errors     what can go wrong, with exit codes
budget     how long a run may go on; the only place that sleeps
"""

__version__ = "0.1.0"
