"""The job: plan the gaps, walk them, load what comes, log the run.

plan     which gaps of which streams, and from which stored rows a walk may begin
walk     one gap, page by page: resuming, splitting, and every guard against walking for ever
pump     fetch threads, a bounded queue, one load thread
load     pages -> redacted rows -> batches -> the store
commits  one thread that commits a batch while the load thread makes the next one
run      one source after the other, errors as values
fetch    single records by their ids
replay   quarantined records, tried again
"""
