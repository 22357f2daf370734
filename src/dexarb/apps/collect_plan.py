"""From the collector's configuration to what is asked of the chain, and back to a profile."""

from __future__ import annotations

from collections.abc import Sequence

from dexarb.chain.bootstrap.sync import Bootstrap, PoolRequest
from dexarb.config.chain_profile import LoadedChain
from dexarb.config.collector import PoolChoice
from dexarb.core.pool import Pool
from dexarb.core.profile import ChainProfile, ReferencePool
from dexarb.core.token import Address, Token, to_address


def pool_requests(chain: LoadedChain, choices: Sequence[PoolChoice]) -> list[PoolRequest]:
    """The pools of a configuration, and those that its chain prices tokens by."""
    wanted: list[tuple[str, str, str, list[int] | None]] = [
        (c.dex, c.token_a, c.token_b, None) for c in choices
    ]
    used = {name for c in choices for name in (c.token_a, c.token_b)}
    used.add(chain.chain.wrapped_native)
    wanted += [
        (r.dex, r.token, chain.chain.numeraire, r.fees_pips)
        for r in chain.references
        if r.token in used
    ]
    requests: dict[PoolRequest, None] = {}
    for dex_name, token_a, token_b, fees in wanted:
        dex = chain.dexes[dex_name]
        request = PoolRequest(
            dex=dex.name,
            kind=dex.kind,
            factory=to_address(dex.factory),
            token_a=chain.tokens[token_a],
            token_b=chain.tokens[token_b],
            fees_pips=tuple(fees or dex.fees_pips),
        )
        requests[request] = None
    return list(requests)


def chain_profile(
    chain: LoadedChain, tokens: Sequence[Token], pools: Sequence[Pool]
) -> ChainProfile:
    """The profile that travels in the history, its reference pools resolved to addresses."""
    numeraire = chain.tokens[chain.chain.numeraire]
    decimals = {token.address: token.decimals for token in tokens}
    references: dict[Address, list[ReferencePool]] = {}
    for reference in chain.references:
        token = chain.tokens[reference.token]
        matching = _pools_of(pools, reference.dex, token, numeraire, reference.fees_pips)
        # Without the numeraire's decimals it has no pools, so there is none to be deep enough.
        depth = int(reference.min_depth * 10 ** decimals.get(numeraire, 0))
        references.setdefault(token, []).extend(
            ReferencePool(pool.key, numeraire, depth) for pool in matching
        )
    return ChainProfile(
        chain_id=chain.chain.chain_id,
        name=chain.chain.name,
        ordering=chain.chain.ordering,
        wrapped_native=chain.tokens[chain.chain.wrapped_native],
        numeraire=numeraire,
        tokens=dict(chain.tokens),
        start_tokens=tuple(chain.tokens[name] for name in chain.chain.start_tokens),
        reference_pools={token: tuple(pools) for token, pools in references.items()},
        default_priority_fee=chain.default_priority_fee,
        builder_cutoff_ms=chain.chain.builder_cutoff_ms,
        exclude_tokens=tuple(chain.tokens[name] for name in chain.chain.exclude_tokens),
        exclude_pools=tuple(chain.exclude_pools),
        gas_schedules=chain.gas_schedules,
        tip_floors=chain.tip_floors,
        surcharges=chain.surcharges,
        own=chain.own,
    )


def what_is_lost(chain: LoadedChain, found: Bootstrap) -> list[str]:
    """What cannot be done without the tokens that are odd, a sentence each."""
    lost = {
        chain.tokens[chain.chain.wrapped_native]: "Gas has no price, so no profit has",
        chain.tokens[chain.chain.numeraire]: "Nothing has a price",
    }
    return [
        f"{token.reason}. {lost.get(token.address, 'Its pools are left out')}"
        for token in found.odd
    ]


def _pools_of(
    pools: Sequence[Pool],
    dex: str,
    token: Address,
    numeraire: Address,
    fees_pips: Sequence[int] | None,
) -> list[Pool]:
    return [
        pool
        for pool in pools
        if pool.dex == dex
        and {token, numeraire} <= set(pool.tokens)
        and (fees_pips is None or pool.fee_pips in fees_pips)
    ]
