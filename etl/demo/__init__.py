"""Three execution-history APIs on loopback, for `etl demo`, tests and benchmarks.

Stands alone: imports nothing else of `etl`.

server        the socket: settings, authentication, faults, counters
  wire        requests and responses as bytes
  faults      which request goes wrong, and how
  api_*       the dialects: a request and a time to an answer
  cache       rendered records in chunks
history_*     every execution by its index, pure: riza, foundry, b3os
  riza_*, b3os_*   what these platforms run, and what goes in and out
  grid        when executions start; which of them can be seen; incidents
  chance      numbers, ids and times from a key and an index
"""
