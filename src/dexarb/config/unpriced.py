"""What cannot be traded because nothing says what a token is worth."""

from __future__ import annotations

REMEDY = "Add a [[reference]] for it to the chain's file, with pools that are collected"


def consequence(name: str, native: str) -> str:
    """In a sentence. native: the token that pays for gas."""
    if name == native:
        return f"{name} pays for gas and has no price, so nothing is ever traded"
    return f"{name} has no price, so no cycle that begins with it is ever traded"
