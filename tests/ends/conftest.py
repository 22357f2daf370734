"""The command line for all tests of commands."""

from tests.support.command import dexarb

__all__ = ["dexarb"]
