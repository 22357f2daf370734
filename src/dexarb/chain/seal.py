"""Who sealed a block: chains with elected producers, like Polygon, name them by signature alone.

Source: bor, consensus/bor/bor.go (SealHash, ecrecover), after Ethereum's clique (EIP-225): the last
65 bytes of extraData are the producer's signature over the hash of the header without them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from dexarb.chain import proof
from dexarb.core.token import Address

_SIGNATURE = 65
_FIELD = "extraData"


class Seal(NamedTuple):
    """What was signed, and the signature: r, s and the parity of the point."""

    signed: bytes
    signature: bytes

    def signer(self) -> Address | None:
        """None for a signature of nobody. It takes five milliseconds."""
        # A third of a second to load, for those who collect from such a chain alone.
        from eth_keys.datatypes import Signature
        from eth_keys.exceptions import BadSignature
        from eth_utils.exceptions import ValidationError

        try:
            key = Signature(self.signature).recover_public_key_from_msg_hash(self.signed)
        except (BadSignature, ValidationError):
            return None
        return Address(key.to_address())


def seal_of(values: Mapping[str, int | bytes], fields: Sequence[str]) -> Seal | None:
    """The seal of a header with these values of its hash's fields; None where it has none."""
    extra = values.get(_FIELD)
    if not isinstance(extra, bytes) or len(extra) < _SIGNATURE:
        return None
    unsealed = {**values, _FIELD: extra[:-_SIGNATURE]}
    return Seal(proof.block_hash([unsealed.get(name) for name in fields]), extra[-_SIGNATURE:])
