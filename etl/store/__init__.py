"""The DuckDB file: one analytics store.

connect      open it for as long as a batch takes; wait for others; explain what is wrong
schema       its tables, its version
migrations   what a store of an older version needs to become one of this
write        one batch: rows, children, ledger, quarantine, counters, in one transaction
read         what a sync has to know before it starts, and what `status` shows
copy         a compacted copy in the place of a file, whole or not at all
"""
