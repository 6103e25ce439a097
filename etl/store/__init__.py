"""The DuckDB file: one analytics store.

connect      open it for as long as a batch takes; wait for others; explain what is wrong
schema       its tables, its version
migrations   what a store of an older version needs to become one of this
turns        a writer that waits comes before readers that come later
write        one batch: rows, children, ledger, quarantine, counters, in one transaction
  upsert     its rows: new, changed, unchanged
  lookup     which of them the store has already
  offer      rows of Arrow for one statement
  drift      what the API does not document, counted
read         what a sync has to know of the store, and what `status` shows
integrity    the promises of the store, each as a query that finds nothing
copy         a compacted copy in the place of a file, whole or not at all
"""
