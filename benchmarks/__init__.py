"""Speed, as ratios to what a user could write instead. The tests' oracles are one side of some."""

import os
import sys
from pathlib import Path

# The same keccak on either side: eth-hash would prefer the slower one that vyper brings.
os.environ["ETH_HASH_BACKEND"] = "pysha3"

sys.path.append(str(Path(__file__).parent.parent / "tests"))
