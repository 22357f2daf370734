"""The configuration files of the processes that run on the embedded chain."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dexarb.chain.bootstrap.multicall import MULTICALL3
from dexarb.config.shipped_files import CLASSIC_STRATEGIES
from dexarb.core.profile import own_names
from dexarb.core.units import GWEI
from dexarb.demo.world import World

MARK = "# Written by dexarb demo"


@dataclass(frozen=True, slots=True)
class Files:
    """Where everything of a run lies."""

    folder: Path
    collector: Path
    paper: Path
    state: Path
    ledger: Path
    logs: Path

    @property
    def data(self) -> Path:
        return self.folder / "data"


def write_settings(world: World, folder: Path, *, endpoint: str, paper_config: Path) -> Files:
    """Write chain.toml, collector.toml and paper_trading.toml into the folder.

    The strategies are those of `paper_config`; its [general] table gives way to the run's own
    files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files = Files(
        folder,
        folder / "collector.toml",
        folder / "paper_trading.toml",
        folder / "data" / "pool_state.json",
        folder / "data" / "ledger.sqlite",
        folder / "logs",
    )
    (folder / "chain.toml").write_text(_chain(world))
    files.collector.write_text(_collector(world, files, endpoint))
    files.paper.write_text(_paper(files, paper_config))
    return files


def is_ours(folder: Path) -> bool:
    """Whether a demo has written its files into the folder."""
    try:
        return (folder / "chain.toml").read_text(encoding="utf-8").startswith(MARK)
    except OSError:
        return False


def _chain(world: World) -> str:
    profile = world.profile()
    names = own_names(profile.tokens)
    dexes = {pool.dex: pool for pool in world.pools}
    lines = [MARK + ": the embedded chain."]
    lines += _table(
        "[chain]",
        {
            "chain_id": profile.chain_id,
            "name": profile.name,
            "ordering": profile.ordering,
            "wrapped_native": names[profile.wrapped_native],
            "numeraire": names[profile.numeraire],
            "start_tokens": [names[token] for token in profile.start_tokens],
            "multicall3": MULTICALL3,
            "default_priority_fee_gwei": profile.default_priority_fee / GWEI,
        },
    )
    lines += _table("[tokens]", profile.tokens)
    for name, pool in dexes.items():
        fees = sorted({each.fee_pips for each in world.pools if each.dex == name})
        values = {"name": name, "kind": pool.kind, "factory": world.factories[name]}
        lines += _table("[[dex]]", {**values, "fees_pips": fees})
    decimals = world.tokens[names[profile.numeraire]].decimals
    by_key = {pool.key: pool for pool in world.pools}
    for token, references in profile.reference_pools.items():
        for reference in references:
            reference_pool = by_key[reference.pool]
            values = {"token": names[token], "dex": reference_pool.dex}
            fees = [reference_pool.fee_pips]
            depth = reference.min_depth // 10**decimals
            lines += _table("[[reference]]", {**values, "fees_pips": fees, "min_depth": depth})
    return "\n".join(lines) + "\n"


def _collector(world: World, files: Files, endpoint: str) -> str:
    lines = [MARK + "."]
    lines += _table(
        "[collector]",
        {
            "chain": "chain.toml",
            **_paths(files, data_dir=files.data, state_file=files.state, log_dir=files.logs),
            "metrics_interval_secs": 10,
        },
    )
    lines += _table("[rpc]", {"endpoints": [endpoint]})
    for dex in dict.fromkeys(pool.dex for pool in world.pools):
        pairs = dict.fromkeys(
            f"{pool.plan.base}/{pool.plan.quote}" for pool in world.pools if pool.dex == dex
        )
        lines += _table("[[pools]]", {"dexes": [dex], "pairs": list(pairs)})
    return "\n".join(lines) + "\n"


def _paths(files: Files, **paths: Path) -> dict[str, str]:
    """As these files name them: so that all can be moved together."""
    return {key: str(path.relative_to(files.folder)) for key, path in paths.items()}


def _paper(files: Files, paper_config: Path) -> str:
    """The file as it stands, comments included, under another [general]."""
    text = paper_config.read_text(encoding="utf-8")
    source = "the eight to begin with" if paper_config == CLASSIC_STRATEGIES else paper_config
    lines = [f"# Strategies: {source}. Edit, then: dexarb reload --config {files.paper}"]
    lines += _table(
        "[general]",
        {
            **_paths(files, state_file=files.state, ledger_file=files.ledger, log_dir=files.logs),
            "metrics_interval_secs": 10,
        },
    )
    return "\n".join(lines) + "\n\n" + _without_general(text)


def _without_general(text: str) -> str:
    """The text from its first table on that is not [general], and without that one."""
    kept: list[str] = []
    is_kept = False
    for line in text.splitlines(keepends=True):
        if line.startswith("["):
            is_kept = not line.startswith("[general]")
        if is_kept:
            kept.append(line)
    return "".join(kept)


def _table(header: str, values: Mapping[str, object]) -> Sequence[str]:
    """JSON's strings, numbers and lists are TOML's."""
    return ["", header, *(f"{key} = {json.dumps(value)}" for key, value in values.items())]
