"""What every test relies on.

No pandas: DuckDB checks for its absence with each parameter. No deadline for generated examples: a
busy machine is no fault of theirs.
"""

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

settings.register_profile("unhurried", deadline=None, database=None, print_blob=True)
settings.load_profile("unhurried")
