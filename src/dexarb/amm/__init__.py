"""Exact pools: integer for integer what the contracts compute."""
