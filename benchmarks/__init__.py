"""Speed, as ratios to what a user could write instead. The tests' oracles are one side of some."""

import os

# The same keccak on either side: eth-hash would prefer the slower one that vyper brings.
os.environ["ETH_HASH_BACKEND"] = "pysha3"
