"""The command line for all tests of commands."""

from support.command import dexarb

__all__ = ["dexarb"]
