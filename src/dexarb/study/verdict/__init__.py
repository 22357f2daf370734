"""Which strategy may be called a winner, and which not yet: docs/verdict.md."""
