"""Speed, as ratios to what a user could write instead. The tests' oracles are one side of some."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent.parent / "tests"))
