"""Every error that dexarb raises on purpose, in one tree.

::

    DexarbError
    ├── InputError                the user can mend it (exit code 2)
    │   ├── ConfigError           a configuration file; carries file, line, value and remedy
    │   ├── ConfigErrors          several of them, found in one reading
    │   ├── DataError             a file of data; carries file, row and remedy
    │   ├── InvalidAddress        text that is not a 20-byte hex address
    │   └── UnfitChain            a chain on which no result would be true; carries the block
    ├── OutsideError              node, disk or network failed (exit code 3)
    │   ├── RpcError              the node answered with an error
    │   │   └── Refused           its answer cannot be true; carries why
    │   ├── TransportError        the node did not answer
    │   ├── BlockGone             a reorganisation took the block that was being read
    │   ├── NothingFound          none of the pools that were asked for is on the chain
    │   ├── BlocksMissing         no endpoint gives the next block any more
    │   ├── StoreError            a history, state or ledger file cannot be used
    │   │   └── Locked            another process writes there; carries its process id
    │   ├── MissingTool           a program that is to be installed first
    │   └── TransactionRefused    the chain does not take it, or it has failed there
    ├── PoolError                 a pool cannot do what it was asked
    │   ├── UnknownToken          the token is not one of the pool's
    │   ├── InvalidAmount         an amount or price limit that the contract refuses
    │   ├── InsufficientLiquidity the pool ran dry; carries what could be filled
    │   ├── PoolOverflow          the contract's own arithmetic would revert
    │   └── InvalidPoolState      values that no contract can be in
    └── MarketError               updates that do not fit the market
        ├── NotNextBlock          the block's parent is not the market's block
        ├── RewindTooDeep         the fork point lies outside the journal
        └── ReorgTooDeep          the chain forked below all blocks we know: start afresh

Leaves carry data in attributes, so that callers never parse messages.
"""

from __future__ import annotations

from collections.abc import Sequence


class DexarbError(Exception):
    """Root of the tree."""

    exit_code = 1


class InputError(DexarbError):
    exit_code = 2


class ConfigError(InputError):
    """A configuration that cannot be used, told so that it can be mended without a manual."""

    def __init__(
        self,
        problem: str,
        *,
        file: str | None = None,
        line: int | None = None,
        where: str | None = None,
        remedy: str | None = None,
    ) -> None:
        self.problem, self.file, self.line, self.where, self.remedy = (
            problem,
            file,
            line,
            where,
            remedy,
        )
        place = ":".join(str(part) for part in (file, line) if part is not None)
        text = ": ".join(part for part in (place, where, problem) if part)
        super().__init__(f"{text}. {remedy}" if remedy else text)

    @property
    def errors(self) -> tuple[ConfigError, ...]:
        """As of ConfigErrors: this one."""
        return (self,)


class ConfigErrors(InputError):
    """All that is wrong with a file, in the order of its lines."""

    def __init__(self, errors: Sequence[ConfigError]) -> None:
        self.errors = tuple(sorted(errors, key=lambda error: error.line or 0))
        super().__init__("\n".join(str(error) for error in self.errors))


class DataError(InputError):
    """A file of somebody's data that cannot be used. row: counted from 1, a header not counted."""

    def __init__(
        self, problem: str, *, file: object, row: int | None = None, remedy: str | None = None
    ) -> None:
        self.problem, self.file, self.row, self.remedy = problem, str(file), row, remedy
        place = f"{file}: row {row}" if row is not None else str(file)
        super().__init__(f"{place}: {problem}" + (f". {remedy}" if remedy else ""))


class InvalidAddress(InputError):
    def __init__(self, text: str) -> None:
        self.text = text
        super().__init__(f"{text!r} is not an address: expected 0x and 40 hexadecimal digits")


class UnfitChain(InputError):
    """Its transactions pay a fee that we do not reckon with. Asking again does not mend that."""

    def __init__(self, block: int) -> None:
        self.block = block
        super().__init__(
            f"the receipts of block {block} name a fee for data on another chain (an L1 data fee):"
            " chains that charge one are refused, since it is not recorded and no result on them"
            " would be true. Collect a chain without one, such as Polygon PoS, in another folder"
        )


class OutsideError(DexarbError):
    exit_code = 3


def the_failure(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """What to raise for tasks that failed together: the first OutsideError, or the whole group if
    anything else is in it.

    (`except*` would wrap the error again in early releases of Python 3.11.)
    """
    if group.split(OutsideError)[1] is not None:
        return group
    first: BaseException = group
    while isinstance(first, BaseExceptionGroup):
        first = first.exceptions[0]
    return first


class RpcError(OutsideError):
    """The node answered with a JSON-RPC error."""

    def __init__(self, method: str, code: int, message: str, data: object = None) -> None:
        self.method, self.code, self.message, self.data = method, code, message, data
        super().__init__(f"{method}: {message} (code {code})")


class Refused(RpcError):
    """What the node answered contradicts what is proven or itself: never written, asked again."""

    def __init__(self, method: str, reason: str) -> None:
        self.reason = reason
        super().__init__(method, 0, f"the answer is refused: {reason}")


class TransportError(OutsideError):
    """No usable answer came back. The endpoint in the message is already redacted.

    status: of HTTP, where there was one. retry_after_s: how long the server asked to be left
    alone. timed_out: nothing came in time. smaller_may_do: a smaller request might be answered.
    """

    def __init__(
        self,
        endpoint: str,
        reason: str,
        *,
        status: int | None = None,
        retry_after_s: float | None = None,
        timed_out: bool = False,
        smaller_may_do: bool = False,
    ) -> None:
        self.endpoint, self.reason = endpoint, reason
        self.status, self.retry_after_s = status, retry_after_s
        self.timed_out, self.smaller_may_do = timed_out, smaller_may_do
        super().__init__(f"{endpoint}: {reason}")


class BlockGone(OutsideError):
    """State was to be read at a block that is no longer part of the chain."""

    def __init__(self, number: int, block_hash: str) -> None:
        self.number, self.block_hash = number, block_hash
        super().__init__(f"block {number} {block_hash} left the chain while it was read")


class NothingFound(OutsideError):
    """Nothing to collect. It is asked again: a node may answer so for a while."""

    def __init__(self, block: int, missing: int) -> None:
        self.block, self.missing = block, missing
        super().__init__(
            f"none of the configured pools is there at block {block} ({missing} missing): are the"
            " factories and tokens those of this chain?"
        )


class BlocksMissing(OutsideError):
    """The chain goes on, and no endpoint gives the block that comes next: start afresh."""

    def __init__(self, number: int, reason: str) -> None:
        self.number, self.reason = number, reason
        super().__init__(f"no endpoint gives block {number}: {reason}")


class StoreError(OutsideError):
    def __init__(self, path: object, problem: str, remedy: str | None = None) -> None:
        self.path, self.problem, self.remedy = str(path), problem, remedy
        super().__init__(f"{path}: {problem}" + (f". {remedy}" if remedy else ""))


class Locked(StoreError):
    """A second writer: house rules say that it exits with 2 and names the first."""

    exit_code = 2

    def __init__(self, path: object, holder: int | None) -> None:
        self.holder = holder
        who = f"process {holder}" if holder else "another process"
        super().__init__(
            path, f"is being written by {who}", "Stop that process, or use another folder"
        )


class MissingTool(OutsideError):
    def __init__(self, tool: str, remedy: str) -> None:
        self.tool, self.remedy = tool, remedy
        super().__init__(f"{tool} was not found. {remedy}")


class TransactionRefused(OutsideError):
    """The chain says why, where it says anything."""


class StateError(DexarbError):
    """Saved state that this program cannot go on from."""


class PoolError(DexarbError):
    """pool: the address of the pool that it is about."""

    pool: str


class UnknownToken(PoolError):
    def __init__(self, pool: str, token: str) -> None:
        self.pool, self.token = pool, token
        super().__init__(f"pool {pool} does not hold token {token}")


class InvalidAmount(PoolError):
    def __init__(self, pool: str, amount: int, problem: str) -> None:
        self.pool, self.amount = pool, amount
        super().__init__(f"pool {pool}: amount {amount} {problem}")


class InsufficientLiquidity(PoolError):
    """The known liquidity ends before the whole amount is swapped.

    amount_in and amount_out are what could be filled, in the tokens' smallest units.
    """

    def __init__(self, pool: str, amount_in: int, amount_out: int) -> None:
        self.pool, self.amount_in, self.amount_out = pool, amount_in, amount_out
        super().__init__(
            f"pool {pool} runs out of liquidity after {amount_in} in and {amount_out} out"
        )


class PoolOverflow(PoolError):
    def __init__(self, pool: str, operation: str) -> None:
        self.pool, self.operation = pool, operation
        super().__init__(f"pool {pool}: {operation} overflows, the contract would revert")


class InvalidPoolState(PoolError):
    def __init__(self, pool: str, problem: str) -> None:
        self.pool, self.problem = pool, problem
        super().__init__(f"pool {pool}: {problem}")


class MarketError(DexarbError):
    pass


class NotNextBlock(MarketError):
    def __init__(self, expected_parent: str, number: int, parent: str) -> None:
        self.expected_parent, self.number, self.parent = expected_parent, number, parent
        super().__init__(f"block {number} has parent {parent}, the market is at {expected_parent}")


class RewindTooDeep(MarketError):
    def __init__(self, block_hash: str, journal: int) -> None:
        self.block_hash, self.journal = block_hash, journal
        super().__init__(f"block {block_hash} is not among the last {journal} blocks")


class ReorgTooDeep(MarketError):
    """The collector cannot connect the chain to its history and has to bootstrap again."""

    def __init__(self, number: int, block_hash: str, oldest_known: int) -> None:
        self.number, self.block_hash, self.oldest_known = number, block_hash, oldest_known
        super().__init__(
            f"block {number} {block_hash} does not descend from our block {oldest_known} or later"
        )
