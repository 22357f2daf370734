"""dexarb tune: better values for the strategies of a file, on the first part of a history."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from dexarb.apps.sweep import Means, beside, carry_out, settings_on
from dexarb.config.paper import load_paper
from dexarb.config.tuned_file import with_values
from dexarb.core.units import SECONDS_PER_DAY
from dexarb.errors import ConfigError, InputError
from dexarb.screens.answer import show
from dexarb.screens.tune import TunedStrategies
from dexarb.store.files import disk_errors, replace_file
from dexarb.store.follow import first_keyframe
from dexarb.store.history_reader import HistoryReader
from dexarb.store.trials import TrialKind
from dexarb.study.sweep.plan import RESULTS_FILE, make_plan
from dexarb.study.tuning import Tuned, axes_of, nets_of, tuned

FEWEST_BLOCKS = 20
"""On either side of the split."""


def run(
    history: Path, config: Path, out: Path | None, split: float, means: Means, *, as_json: bool
) -> int:
    """Returns the exit code. Raises ConfigErrors, InputError, StoreError, OutsideError."""
    return show(tune(history, config, out, split, means), as_json=as_json)


def tune(
    history: Path, config: Path, out: Path | None, split: float, means: Means
) -> TunedStrategies:
    """out: the file to write, None for none. split: the share of the history's time that values are
    chosen on."""
    if out is not None and out.exists():
        raise ConfigError(
            "is there already", file=str(out), remedy="Name another file: none is written over"
        )
    reader = HistoryReader(history)
    paper = load_paper(config)
    known = settings_on(reader, paper)
    bid = first_keyframe(reader).profile.default_priority_fee
    found_axes = (axes_of(each, bid) for each in known)
    axes = [each for each in found_axes if each is not None]
    if not axes:
        raise InputError(f"{config} has no strategy that can be tuned: own ones cannot")
    swept = {variant.settings.hash: variant.settings for each in axes for variant in each.variants}
    first, tip = first_keyframe(reader).block, reader.branch(1).tip
    last = tip.timestamp if tip is not None else first.timestamp
    at = first.timestamp + int(split * (last - first.timestamp))
    plan = make_plan(
        reader,
        list(swept.values()),
        max_state_age_s=float(paper.general.max_state_age_secs),
        split=at,
    )
    if min(split, 1 - split) * plan.blocks < FEWEST_BLOCKS:
        raise InputError(
            f"{history} has {plan.blocks:,} blocks: too few on one side of the split."
            " Collect more, or give another --split"
        )
    folder = beside(history, config.with_stem(f"tune-{config.stem}"), plan)
    settings = list(swept.values())
    plan = carry_out(reader, folder, plan, settings, means, TrialKind.TUNE)
    nets = nets_of(folder / RESULTS_FILE)
    found = tuple(tuned(each, nets) for each in axes)
    left: list[str] = []
    if out is not None:
        left = _write(out, config, found)
    days = (at - first.timestamp) / SECONDS_PER_DAY, (last - at) / SECONDS_PER_DAY
    return TunedStrategies(found, plan, at, days, folder / RESULTS_FILE, out, tuple(left))


def _write(out: Path, config: Path, found: Sequence[Tuned]) -> list[str]:
    """Returns the names of strategies that stay as they are, having no table of their own."""
    changed = [each for each in found if not each.is_kept]
    with disk_errors(config, "cannot be read"):
        text = config.read_text(encoding="utf-8")
    written, left = with_values(
        text,
        {each.own.name: each.chosen for each in changed},
        {each.own.name: each.changed for each in changed},
    )
    with disk_errors(out, "cannot be written"):
        out.parent.mkdir(parents=True, exist_ok=True)
    replace_file(out, written.encode(), durable=True)
    return left
