"""How what was written is committed: at once, or on a thread while the next batch is made."""

import contextlib
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

Submit = Callable[[Callable[[], None]], Future[None]]
"""Takes what ends a commit; the future has the outcome."""


@contextlib.contextmanager
def commit_inline() -> Iterator[Submit]:
    """Commits where the batches are made."""
    yield submit_inline


def submit_inline(end: Callable[[], None]) -> Future[None]:
    """Done at once; an error waits for whoever asks for the outcome, as that of a thread would."""
    outcome: Future[None] = Future()
    try:
        end()
    except BaseException as error:
        outcome.set_exception(error)
    else:
        outcome.set_result(None)
    return outcome


@contextlib.contextmanager
def commit_on_thread() -> Iterator[Submit]:
    """Commits on one thread, in turn; what has begun is waited for, whatever happens."""
    with ThreadPoolExecutor(max_workers=1) as executor:
        # The thread begins here: where there can be none, no store is open yet.
        executor.submit(lambda: None).result()
        yield executor.submit
