"""What every test relies on.

No pandas: DuckDB checks for its absence with each parameter. No deadline for generated examples: a
busy machine is no fault of theirs. Ctrl-C reaches the programs that are started, though a shell
has its background jobs ignore it.
"""

import signal
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from types import ModuleType

from hypothesis import settings


class _NoPandas(MetaPathFinder):
    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> None:
        if name == "pandas":
            raise ModuleNotFoundError(name)


sys.meta_path.insert(0, _NoPandas())

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile("unhurried", deadline=None, database=None, print_blob=True)
settings.load_profile("unhurried")
