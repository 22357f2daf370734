"""What a configuration can be held against: the chain's names, and the pools that are collected."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from dexarb.config.chain_profile import LoadedChain
from dexarb.config.resolve import Listed, place
from dexarb.config.toml_file import TomlFile, did_you_mean
from dexarb.core.pool import Pool
from dexarb.core.token import Address, Pair, pair_of, pairs_of
from dexarb.errors import ConfigError


@dataclass(frozen=True, slots=True)
class ChainFacts:
    """tokens: names to addresses. dexes: names. pairs: those that pools hold, None if unknown."""

    tokens: Mapping[str, Address]
    dexes: frozenset[str]
    pairs: frozenset[Pair] | None

    @classmethod
    def of_pools(cls, tokens: Mapping[str, Address], pools: Iterable[Pool]) -> Self:
        """What a history says."""
        found = list(pools)
        return cls(
            tokens,
            frozenset(pool.dex for pool in found),
            frozenset(pair for pool in found for pair in pairs_of(pool.tokens)),
        )

    @classmethod
    def of_profile(cls, chain: LoadedChain) -> Self:
        """What a chain profile says, before anything has been collected."""
        return cls(chain.tokens, frozenset(chain.dexes), None)

    def misfits(self, file: TomlFile, strategies: Sequence[Listed]) -> Iterator[ConfigError]:
        """Pairs and DEXes that strategies wait for in vain, each once a list. Names of tokens have
        been checked."""
        seen = set()
        for each in strategies:
            if not each.table.enabled:
                continue
            for key, values in (("pairs", each.table.pairs), ("dexes", each.table.dexes)):
                at = place(file, each.at, key)
                for value in values:
                    if (at, value) not in seen:
                        seen.add((at, value))
                        yield from (
                            self._pair(file, at, value)
                            if key == "pairs"
                            else self._dex(file, at, value)
                        )

    def _pair(self, file: TomlFile, at: tuple[str | int, ...], pair: str) -> Iterator[ConfigError]:
        one, other = (self.tokens[name] for name in pair.split("/"))
        if self.pairs is not None and pair_of(one, other) not in self.pairs:
            remedy = "Let data-collector collect one ([[pools]] in collector.toml)"
            yield file.error(at, f'no pool holds "{pair}"', remedy)

    def _dex(self, file: TomlFile, at: tuple[str | int, ...], dex: str) -> Iterator[ConfigError]:
        if dex not in self.dexes:
            remedy = did_you_mean(dex, sorted(self.dexes))
            yield file.error(at, f'no pool of "{dex}" is known', remedy)
