"""Who has named which block."""

from __future__ import annotations

from dexarb.chain.feed.witnesses import Witnesses
from dexarb.core.block import BlockHash, BlockRef

BRANCH = [BlockRef(number, BlockHash(f"0xa{number}")) for number in range(10, 20)]
PATH = [block.hash for block in BRANCH]


def named(**blocks: BlockRef) -> Witnesses:
    """Each endpoint has named one block."""
    made = Witnesses()
    for endpoint, block in blocks.items():
        made.name(endpoint, block, BlockHash(f"{block.hash[:3]}{block.number - 1}"))
    return made


def test_who_names_a_block_names_its_ancestors() -> None:
    witnesses = named(one=BRANCH[9], two=BRANCH[6], three=BRANCH[6])
    assert witnesses.counts(PATH) == [3] * 7 + [1] * 3
    assert witnesses.counts(PATH[7:]) == [1] * 3
    assert witnesses.agreed(BRANCH, endpoints=2) == BRANCH[6]
    assert witnesses.agreed(BRANCH, endpoints=1) == BRANCH[9]
    assert witnesses.agreed(BRANCH, endpoints=4) is None


def test_a_header_names_its_parent_too() -> None:
    ahead = BlockRef(20, BlockHash("0xa20"))
    assert named(one=ahead).counts(PATH) == [1] * 10


def test_an_endpoint_counts_once_however_often_it_speaks() -> None:
    witnesses = Witnesses()
    for block in BRANCH * 3:
        witnesses.name("one", block, BlockHash("0x00"))
    assert witnesses.counts(PATH) == [1] * 10


def test_another_block_of_our_number_contradicts_until_it_is_mended() -> None:
    witnesses = named(
        one=BRANCH[9], two=BlockRef(15, BlockHash("0xb15")), far=BlockRef(99, BlockHash("0xb99"))
    )
    assert witnesses.contradictions(BRANCH) == {"two": BlockRef(15, BlockHash("0xb15"))}
    assert witnesses.counts(PATH) == [1] * 10
    witnesses.name("two", BRANCH[8], BRANCH[7].hash)
    assert witnesses.contradictions(BRANCH) == {}
