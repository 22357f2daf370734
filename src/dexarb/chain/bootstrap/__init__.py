"""Pools and tokens read from the chain at the end of one block: `sync` is where to start."""
