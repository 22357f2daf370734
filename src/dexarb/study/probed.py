"""What nodes have said of the decisions that they ran, as a ledger has it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import NamedTuple, TypeVar

from dexarb.core.probes import Probe
from dexarb.core.route import Cycle, CycleId
from dexarb.core.token import Address
from dexarb.store.ledger_figures import probe_counts
from dexarb.store.ledger_notes import METERING, Metering
from dexarb.store.ledger_reader import LedgerReader

NEWEST = 1_000
"""Of these gas is compared."""

Key = TypeVar("Key", bound=Hashable)


class GasBeside(NamedTuple):
    """Runs that a node has told the gas of. more: what the median of them takes beyond ours, a
    share."""

    runs: int
    more: float


@dataclass(frozen=True, slots=True)
class ProbedDecisions:
    """ran: of them `equal` to the wei, `refused`, and else different. barred: the routes that are
    not traded now, by the newest probe of each, newest first. by_token: of every token of a route;
    by_route: with one of its probes. metering: None of a trader that never had a [probe]."""

    ran: int
    equal: int
    refused: int
    barred: Sequence[Probe]
    by_token: Mapping[Address, GasBeside]
    by_route: Mapping[Cycle, GasBeside]
    metering: Metering | None

    @property
    def different(self) -> int:
        return self.ran - self.equal - self.refused


def probed_decisions(reader: LedgerReader) -> ProbedDecisions | None:
    """None where nothing was ever to be probed. Raises StoreError."""
    metering = reader.note(METERING)
    ran, equal, refused = probe_counts(reader)
    if metering is None and not ran:
        return None
    newest = [row.probe for row in reader.probes(last=NEWEST)]
    by_token = ((token, each) for each in newest for token in each.cycle.tokens)
    by_route = ((each.cycle, each) for each in newest)
    return ProbedDecisions(
        ran,
        equal,
        refused,
        barred_now(reader),
        _beside(by_token),
        _beside(by_route),
        metering,
    )


def barred_now(reader: LedgerReader) -> list[Probe]:
    """The routes that are not traded behind the ledger's last block, newest first."""
    last = reader.last_block
    found: dict[CycleId, Probe] = {}
    for _, probe in reversed(reader.probes(barring=True)):
        if last is not None and last[0] < (probe.until_block or 0):
            found.setdefault(probe.cycle.id, probe)
    return list(found.values())


def _beside(probes: Iterable[tuple[Key, Probe]]) -> dict[Key, GasBeside]:
    """Those that take most beyond ours first."""
    shares: dict[Key, list[float]] = defaultdict(list)
    for key, probe in probes:
        if probe.gas is not None:
            shares[key].append(probe.gas / probe.expected_gas - 1)
    found = {key: GasBeside(len(each), median(each)) for key, each in shares.items()}
    return dict(sorted(found.items(), key=lambda item: -item[1].more))
