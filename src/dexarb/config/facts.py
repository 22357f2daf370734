"""What a configuration can be held against: the chain's names, and the pools that are collected."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from dexarb.config.resolve import Listed, place
from dexarb.config.toml_file import TomlFile, did_you_mean
from dexarb.config.unpriced import REMEDY, consequence
from dexarb.core.pool import Pool
from dexarb.core.profile import ChainProfile, ScheduleChange
from dexarb.core.token import Address, Pair, pair_of, pairs_of
from dexarb.errors import ConfigError

if TYPE_CHECKING:
    from dexarb.config.chain_profile import LoadedChain


@dataclass(frozen=True, slots=True)
class ChainFacts:
    """tokens: names to addresses. dexes: names. pairs: those that pools hold, None if unknown.
    unpriced: names of tokens that would have to have a price and cannot. native: that of the token
    that pays for gas. tip_floor: wei per gas below which no bid lands. default_bid: as much, of
    strategies that state none. forks: changes of the gas schedule that are still to come, by how
    many blocks ahead; none where the block is not known."""

    tokens: Mapping[str, Address]
    dexes: frozenset[str]
    pairs: frozenset[Pair] | None
    unpriced: tuple[str, ...]
    native: str
    tip_floor: int
    default_bid: int
    forks: tuple[tuple[int, ScheduleChange], ...] = ()

    @classmethod
    def of_pools(cls, profile: ChainProfile, pools: Iterable[Pool], block: int) -> Self:
        """What a history says. block: number of the newest."""
        found = list(pools)
        return cls(
            profile.tokens,
            frozenset(pool.dex for pool in found),
            frozenset(pair for pool in found for pair in pairs_of(pool.tokens)),
            profile.unpriced,
            profile.native_name,
            profile.tip_floor(block),
            profile.default_priority_fee,
            tuple(
                (each.from_block - block, each)
                for each in profile.gas_schedules
                if each.from_block > block
            ),
        )

    @classmethod
    def of_profile(cls, chain: LoadedChain) -> Self:
        """What a chain profile says, before anything has been collected."""
        native = chain.chain.wrapped_native
        floor = chain.tip_floors[-1].wei if chain.tip_floors else 0
        return cls(
            chain.tokens,
            frozenset(chain.dexes),
            None,
            chain.unpriced,
            native,
            floor,
            chain.default_priority_fee,
        )

    def coming_forks(self, file: TomlFile) -> Iterator[ConfigError]:
        """What will cost other gas by itself."""
        for ahead, (from_block, name) in self.forks:
            yield file.error(
                (),
                f'the gas schedule "{name}" holds from block {from_block:,} on,'
                f" {ahead:,} blocks from now: from there on trades cost other gas",
                "Compare the block with what the chain has announced, and correct [[gas_schedule]]"
                " in the chain's file if it has moved",
            )

    def misfits(self, file: TomlFile, strategies: Sequence[Listed]) -> Iterator[ConfigError]:
        """Pairs and DEXes that strategies wait for in vain, each once a list, and tokens without a
        price, each once. Names of tokens have been checked."""
        seen = set()
        unpriced = list(self.unpriced)
        for each in strategies:
            if not each.table.enabled:
                continue
            for key, values in (("pairs", each.table.pairs), ("dexes", each.table.dexes)):
                at = place(file, each.at, key)
                if key == "pairs":
                    for name in self._needed(unpriced, values):
                        unpriced.remove(name)
                        yield file.error(at, consequence(name, self.native), REMEDY)
                for value in values:
                    if (at, value) not in seen:
                        seen.add((at, value))
                        yield from (
                            self._pair(file, at, value)
                            if key == "pairs"
                            else self._dex(file, at, value)
                        )

    def _needed(self, tokens: Iterable[str], pairs: Iterable[str]) -> list[str]:
        """Of these tokens: all trades pay for gas, whatever their pairs."""
        named = {self.native, *(name for pair in pairs for name in pair.split("/"))}
        needed = {self.tokens.get(name, name) for name in named}
        return [name for name in tokens if self.tokens.get(name, name) in needed]

    def _pair(self, file: TomlFile, at: tuple[str | int, ...], pair: str) -> Iterator[ConfigError]:
        one, other = (self.tokens[name] for name in pair.split("/"))
        if self.pairs is not None and pair_of(one, other) not in self.pairs:
            remedy = "Let data-collector collect one ([[pools]] in collector.toml)"
            yield file.error(at, f'no pool holds "{pair}"', remedy)

    def _dex(self, file: TomlFile, at: tuple[str | int, ...], dex: str) -> Iterator[ConfigError]:
        if dex not in self.dexes:
            remedy = did_you_mean(dex, sorted(self.dexes))
            yield file.error(at, f'no pool of "{dex}" is known', remedy)
