"""Properties are tried on the same examples in every run, so that a pass means the same everywhere.

`HYPOTHESIS_PROFILE=explore make test` looks for new ones.
"""

from __future__ import annotations

import os

from hypothesis import settings

# vyper brings another backend, which eth-hash would prefer; users have this one, and it is faster.
os.environ.setdefault("ETH_HASH_BACKEND", "pysha3")

settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.register_profile("explore", deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))
