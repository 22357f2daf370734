"""dexarb-bot: the program, its two ends, what it does between blocks, and its owner's errands."""
