"""Which checkpoints stay: few, and one near enough wherever a fork may go back to."""

from __future__ import annotations

from itertools import accumulate
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from dexarb.core.block import BlockHash
from dexarb.store.checkpoints import DEEPEST, superfluous
from dexarb.store.ledger_db import LedgerDb
from tests.support.worlds.blocks import block


@given(st.lists(st.integers(1, 300), min_size=1, max_size=400))
def test_whoever_goes_back_does_at_most_twice_the_blocks(gaps: list[int]) -> None:
    """Beside those that were made between two checkpoints."""
    made = list(accumulate(gaps))
    kept: list[int] = []
    for number in made:
        kept.append(number)
        gone = superfluous(kept)
        kept = [each for place, each in enumerate(kept) if place not in gone]
        assert kept[-1] == number
    newest = made[-1]
    for depth in range(0, min(newest - made[0], DEEPEST) + 1, 7):
        nearest = max(each for each in kept if each <= newest - depth)
        could_have_been = max(each for each in made if each <= newest - depth)
        assert newest - nearest <= 2 * (newest - could_have_been) + max(gaps)
    assert len(kept) <= 2 + 2 * DEEPEST.bit_length()
    assert sum(newest - each >= DEEPEST for each in kept) <= 1 + (newest - kept[0] < DEEPEST)


def test_a_checkpoint_of_a_dead_block_or_of_another_format_is_not_found(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    with LedgerDb.open(path, chain_id=1, history=tmp_path) as ledger:
        for seq in range(1, 6):
            made = block(100 + seq, f"0x{seq}", f"0x{seq - 1}")
            with ledger.block(seq, made) as books:
                books.add_checkpoint(1 if seq < 5 else 2, bytes([seq]))
        found = ledger.checkpoint(1)
        assert found is not None
        assert (found.seq, found.number, found.hash, found.state) == (4, 104, "0x4", b"\x04")
        deeper = ledger.checkpoint(1, 103)
        assert deeper is not None
        assert deeper.seq == 3
        assert ledger.checkpoint(1, 100) is None
        assert ledger.checkpoint(3) is None
        with ledger.block(6, block(103, "0xb", "0x2")) as books:
            books.drop_checkpoints([BlockHash("0x3"), BlockHash("0x4")])
        found = ledger.checkpoint(1)
        assert found is not None
        assert found.seq <= 2
