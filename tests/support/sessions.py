"""Sessions as the paper trader has them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from dexarb.core.trade import Opportunity
from dexarb.store.history_reader import HistoryReader
from dexarb.store.ledger_db import LedgerDb
from dexarb.study.session import Session
from dexarb.trading.decide.custom import Books, Choice, Factories, MarketView
from dexarb.trading.models.reality import REALITY, Reality
from dexarb.trading.settle.paper_executor import PaperExecutor


class EverySecond:
    """Keeps state: every second opportunity since it began."""

    def __init__(self) -> None:
        self.seen = 0

    def decide(
        self,
        market: MarketView,  # noqa: ARG002
        opportunities: Sequence[Opportunity],
        ledger: Books,  # noqa: ARG002
    ) -> Iterable[Choice]:
        self.seen += len(opportunities)
        return [Choice(each) for each in opportunities if self.seen % 2]


class ResumableSecond(EverySecond):
    """Gives its state, so that a restart need not show it every block again."""

    def state(self) -> object:
        return {"seen": self.seen}

    def resume(self, state: object) -> None:
        assert isinstance(state, dict)
        self.seen = state["seen"]


def paper_session(
    reader: HistoryReader,
    ledger: LedgerDb,
    *,
    max_state_age_s: float = 10,
    factories: Factories | None = None,
    reality: Reality = REALITY,
    first_seq: int | None = None,
) -> Session:
    return Session(
        reader,
        ledger,
        executor=PaperExecutor(reality),
        reality=reality,
        max_state_age_s=max_state_age_s,
        factories=factories,
        first_seq=first_seq,
    )
