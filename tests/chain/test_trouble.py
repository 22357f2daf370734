"""What errors of nodes mean. The texts are those of nodes and providers in public reports."""

from __future__ import annotations

import pytest

from dexarb.chain.endpoints.trouble import (
    Trouble,
    is_pruned,
    is_revert,
    is_transient,
    pause_s,
    refuses_batch,
    trouble,
    trouble_of_silence,
)
from dexarb.errors import Refused, RpcError, TransportError

SAID = [
    (3, "execution reverted: limit exceeded", Trouble.REVERT),
    (-32000, "execution reverted", Trouble.REVERT),
    (-32603, "EVM error InvalidFEOpcode", Trouble.REVERT),
    (-32000, "gas required exceeds allowance (50000000)", Trouble.REVERT),
    (-32000, "nonce too low", Trouble.REJECTED),
    (-32601, "the method does not exist", Trouble.NO_METHOD),
    (-32601, "rate limit", Trouble.NO_METHOD),
    (-32000, "The method eth_getBlockReceipts does not exist/is not available", Trouble.NO_METHOD),
    (-32004, "no", Trouble.NO_METHOD),
    (4444, "pruned history unavailable", Trouble.PRUNED),
    (-32000, "missing trie node 8b16 (path )", Trouble.PRUNED),
    (-32000, "state 0xc6eb is not available, not found: state is not available", Trouble.PRUNED),
    (-32000, "required historical state unavailable (reexec=128)", Trouble.PRUNED),
    (-32002, "project ID does not have access to archive state", Trouble.PRUNED),
    (-32008, "response is too big", Trouble.TOO_LARGE),
    (-32000, "header not found", Trouble.NOT_YET),
    (-32001, "Resource not found", Trouble.NOT_YET),
    (-32005, "limit exceeded", Trouble.BUSY),
    (-32602, "rate limit reached", Trouble.BUSY),
    (429, "compute units per second", Trouble.BUSY),
    (-32005, "daily request count exceeded", Trouble.QUOTA),
    (402, "pay", Trouble.QUOTA),
    (-32000, "monthly capacity limit exceeded", Trouble.QUOTA),
    (-32602, "invalid argument 0: hex string", Trouble.PARAMETERS),
    (-32603, "internal error", Trouble.PASSING),
    (-32000, "receipts length mismatch: 1 vs 0", Trouble.PASSING),
]


@pytest.mark.parametrize(("code", "message", "kind"), SAID)
def test_what_an_error_means(code: int, message: str, kind: Trouble) -> None:
    error = RpcError("eth_call", code, message)
    assert trouble(error) is kind
    assert is_revert(error) == (kind is Trouble.REVERT)
    assert is_pruned(error) == (kind is Trouble.PRUNED)
    passing = (Trouble.NOT_YET, Trouble.BUSY, Trouble.QUOTA, Trouble.PASSING)
    assert is_transient(error) == (kind in passing)


def test_a_refused_answer_may_be_asked_for_again() -> None:
    assert is_transient(Refused("eth_getBlockReceipts", "out of gas, it says, in an archive"))


@pytest.mark.parametrize(
    ("status", "kind"),
    [(402, Trouble.QUOTA), (403, Trouble.QUOTA), (429, Trouble.BUSY), (502, Trouble.PASSING)],
)
def test_what_no_answer_means(status: int, kind: Trouble) -> None:
    assert trouble_of_silence(TransportError("http://a", "no", status=status)) is kind


@pytest.mark.parametrize(
    ("code", "message", "for_its_size"),
    [
        (-32600, "batch too large", True),
        (31, "Batch of more than 3 requests are not allowed on free tier", True),
        (-32005, "batch limit exceeded", True),
        (-32000, "upgrade", True),
        (-32010, "no", True),
        (3, "execution reverted: batch limit", False),
        (-32005, "too many requests", False),
        (-32005, "daily limit exceeded", False),
        (-32000, "header not found", False),
    ],
)
def test_which_refusals_a_smaller_batch_may_mend(
    code: int, message: str, for_its_size: bool
) -> None:
    assert refuses_batch(RpcError("batch", code, message)) == for_its_size


def test_pauses_double_up_to_a_limit_however_many_failures() -> None:
    assert [pause_s(failures, 0.1, 1.0) for failures in range(1, 6)] == [0.1, 0.2, 0.4, 0.8, 1.0]
    assert pause_s(100_000, 0.1, 1.0) == 1.0
