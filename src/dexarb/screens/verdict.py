"""dexarb verdict: which strategy may be called a winner, which not yet, and why."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from dexarb.config.paths import bot_paths, config_paths
from dexarb.core.text import as_name
from dexarb.core.units import MICRO_USD
from dexarb.errors import InputError
from dexarb.screens.answer import Answer
from dexarb.screens.names import Names, names_of, state_beside
from dexarb.screens.output import counted
from dexarb.screens.tables import plain_table, signed_usd, usd
from dexarb.store.ledger_reader import read_only
from dexarb.study.verdict.canary import bot_evidence
from dexarb.study.verdict.gates import CanaryEvidence
from dexarb.study.verdict.judging import Considered, Untaken, Verdicts, read_verdicts
from dexarb.study.verdict.verdict import Word

SHOWN, ROUTES_SHOWN = 20, 6
STYLES = {Word.REJECT: "red", Word.CANARY: "yellow", Word.PROMOTE: "bold green"}
INSTALL = "pip install 'dexarb[verdict]'"


@dataclass(frozen=True, slots=True)
class AllVerdicts(Answer):
    found: Verdicts
    names: Names

    def problems(self) -> Iterator[str]:
        if self.found.problem is not None:
            yield f"warning: {self.found.problem}"

    def as_json(self) -> dict[str, Any]:
        found, selection = self.found, self.found.selection
        against, finalists, confirmed = selection.against, found.finalists, found.confirmed
        return {
            "ledger": str(found.ledger),
            "family": found.family.id if found.family else None,
            "family_size": found.family_size,
            "trials": found.trials,
            "independent_trials": selection.trials,
            "blocks": found.blocks,
            "block": found.block,
            "days": selection.days,
            "spa_p_value": against.spa if against else None,
            "overfitting": selection.overfitting,
            "arch_missing": selection.is_arch_missing,
            "finalists": finalists
            and confirmed
            and {
                "registered_at": finalists.at,
                "block": finalists.block,
                "rule": finalists.rule,
                "hashes": list(finalists.hashes),
                "days": confirmed.days,
                "next_look": confirmed.next_look,
            },
            "strategies": [self._strategy(each) for each in found.strategies],
        }

    def _strategy(self, each: Considered) -> dict[str, Any]:
        found, case, judged = self.found, each.case, each.judged
        selection, confirmed = found.selection, found.confirmed
        against, series, counts = selection.against, case.series, case.trades.counted
        hash_ = each.row.hash
        return {
            "name": each.row.name,
            "hash": hash_,
            "verdict": judged.word.value,
            "reason": judged.reason,
            "days_needed": judged.days_needed,
            "rank": each.rank,
            "active": each.is_active,
            "settled": len(counts),
            "net_usd": int(counts.net.sum()) / MICRO_USD,
            "days": series.days,
            "days_with_decisions": series.active_days,
            "eligible": series.is_eligible,
            "net_usd_per_day": _mean(series.net),
            "charge_usd_per_decision": series.charge,
            "charged_usd_per_day": _mean(series.charged),
            "deflated_sharpe": selection.deflated[hash_],
            "superior": hash_ in against.superior if against else None,
            "in_confidence_set": hash_ in against.confidence_set if against else None,
            "confirmation": None
            if case.days_since is None or confirmed is None
            else {
                "days": case.days_since,
                "passed_at": case.passed_at,
                "p_value": confirmed.p_values.get(hash_),
            },
            "canary": None if case.canary is None else _canary(case.canary),
            "gates": [
                {"name": gate.name, "open": gate.is_open, "says": gate.says}
                for gate in judged.gates
            ],
            "fragility_usd": {
                name: value / MICRO_USD for name, value in asdict(each.fragility).items()
            },
            "untaken": [_untaken_json(route) for route in each.untaken],
        }

    def render(self) -> RenderableType:
        found = self.found
        size = counted(found.family_size, "configuration")
        head = (
            f"Block {found.block}, {counted(found.selection.days, 'whole day')}; {size} tried in"
            f" this family ({counted(found.trials, 'trial')} in the register)"
        )
        if not found.strategies:
            return Group(Text(head), Text("No strategies yet.", style="yellow"))
        parts: list[RenderableType] = [Text(head), self._table(), *self._sentences()]
        parts += [Text(line, style="dim") for line in self._selection()]
        parts += [Text(line) for line in confirmation_lines(found)]
        return Group(*parts, *self._nobody())

    def _table(self) -> Table:
        table = plain_table(None, "strategy")
        table.add_column("verdict", no_wrap=True)
        for name in ("settled", "net USD", "a day", "charged", "days left"):
            table.add_column(name, justify="right", no_wrap=True)
        for each in self.found.strategies[:SHOWN]:
            series = each.case.series
            table.add_row(
                Text(as_name(each.row.name)),
                Text(each.judged.word, style=STYLES.get(each.judged.word, "")),
                str(len(each.case.trades.counted)),
                signed_usd(int(each.case.trades.counted.net.sum())),
                _a_day(series.net),
                _a_day(series.charged),
                "-" if each.judged.days_needed is None else str(each.judged.days_needed),
            )
        return table

    def _sentences(self) -> Iterator[Text]:
        for each in self.found.strategies[:SHOWN]:
            word = (each.judged.word, STYLES.get(each.judged.word, "bold"))
            wait = each.judged.days_needed
            forecast = f" On paper about {counted(wait, 'day')} are left." if wait else ""
            reason = f", {each.judged.reason}.{forecast}"
            yield Text.assemble(as_name(each.row.name), ": ", word, reason)
        more = len(self.found.strategies) - SHOWN
        if more > 0:
            yield Text(f"{more:,} more in --json", style="dim")

    def _selection(self) -> Iterator[str]:
        selection = self.found.selection
        if selection.is_arch_missing:
            yield f"What luck among so many would give takes a package more: {INSTALL}"
        if (against := selection.against) is not None:
            yield (
                f"Selection: that nobody gains has p {_p(against.spa)} (SPA);"
                f" {len(against.superior)} gain although they were looked for (StepM),"
                f" {len(against.confidence_set)} may be the best; the family is worth"
                f" {selection.trials:,.0f} independent trials."
            )
        if selection.overfitting is not None:
            yield (
                f"The best of half the days is below the middle in the other half in"
                f" {selection.overfitting:.0%} of the splits (noise: 40 to 70 %)."
            )

    def _nobody(self) -> Iterator[RenderableType]:
        routes: dict[str, Untaken] = {}
        for each in self.found.strategies:
            for route in each.untaken:
                known = routes.get(route.cycle.id)
                if known is None or known.micro_usd < route.micro_usd:
                    routes[route.cycle.id] = route
        if not routes:
            return
        yield Text("Why did nobody take it?", style="bold")
        yield Text("Open for 64 blocks and more, at a gain above the gas: no gain of ours counts")
        yield Text("there until a node has run the route ([probe] in the trader's file).")
        table = plain_table(None)
        table.add_column("route", overflow="fold")
        for name in ("fills", "net USD", "probed"):
            table.add_column(name, justify="right", no_wrap=True)
        best = sorted(routes.values(), key=lambda route: -route.micro_usd)
        for route in best[:ROUTES_SHOWN]:
            table.add_row(
                Text(f"{self.names.tokens_of(route.cycle)} by {self.names.pools_of(route.cycle)}"),
                str(route.fills),
                usd(route.micro_usd),
                "yes" if route.is_tried else "no",
            )
        yield table


def _canary(found: CanaryEvidence) -> dict[str, Any]:
    return {
        "sent": found.sent,
        "filled": found.filled,
        "model_errors": found.model_errors,
        "net_usd": found.net / MICRO_USD,
        "compared": found.compared,
        "compared_net_usd": found.compared_net / MICRO_USD,
        "band_usd": [found.low / MICRO_USD, found.high / MICRO_USD],
    }


def answer(what: Path | None, config: Path, registers: Sequence[Path] = ()) -> AllVerdicts:
    """what: a ledger, or the TOML file of a run; None for config. Raises ConfigError, InputError,
    StoreError."""
    asked = config if what is None else what
    if asked.is_dir():
        raise InputError(f"{asked} is a folder: name a ledger, or the TOML file of a run")
    if asked.suffix != ".toml":
        return AllVerdicts(read_verdicts(asked, registers), names_of(None))
    names = names_of(state_beside(config_paths(asked).state_file))
    return AllVerdicts(verdicts_of(asked, registers), names)


def verdicts_of(config: Path, registers: Sequence[Path] = ()) -> Verdicts:
    """Of a run, with what a bot beside it has shown. Raises ConfigError, StoreError."""
    ledger, bot = config_paths(config).ledger_file, bot_paths(config)
    with read_only(ledger) as books:
        strategies = books.strategies()
    found = bot_evidence(strategies, bot.journal_file, bot.ledger_file)
    return read_verdicts(ledger, registers, own_effect=found.own_effect, canaries=found.canaries)


def confirmation_lines(found: Verdicts) -> Iterator[str]:
    """How the finalists' confirmation stands, where there are any."""
    finalists, confirmed = found.finalists, found.confirmed
    if finalists is None or confirmed is None:
        return
    passed = len(confirmed.passed)
    look = (
        "all looks are taken"
        if confirmed.next_look is None
        else f"the next look is at day {confirmed.next_look}"
    )
    yield (
        f"Confirmation: {counted(len(finalists.hashes), 'finalist')} since block"
        f" {finalists.block}, {counted(confirmed.days, 'whole day')}; {passed} passed, {look}."
    )


def _p(value: float) -> str:
    return f"= {value:.3f}" if value >= 0.001 else "< 0.001"


def _mean(values: Any) -> float | None:
    return float(values.mean()) if len(values) else None


def _a_day(values: Any) -> str | Text:
    return "-" if not len(values) else signed_usd(round(float(values.mean()) * MICRO_USD))


def _untaken_json(route: Untaken) -> dict[str, Any]:
    return {
        "route": list(route.cycle.pools),
        "tokens": list(route.cycle.tokens),
        "fills": route.fills,
        "net_usd": route.micro_usd / MICRO_USD,
        "probed": route.is_tried,
    }
