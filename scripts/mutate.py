"""Changes the code in one place, runs the tests, and sees whether one fails: `make mutate`.

Only in modules where money, truth or loss is decided. Mutants are cosmic-ray's; which ones are
tried is drawn by the seed, places first, so that a place with many operators counts once. All is
done in a copy of the project: yours is never touched.

A mutant that the tests near its module do not notice meets all that could. One that they do not
notice either is told, and is an error unless docs/testing.md has it with a reason.
"""

from __future__ import annotations

import argparse
import ast
import difflib
import os
import random
import shlex
import shutil
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from cosmic_ray.commands import init
from cosmic_ray.mutating import apply_mutation, mutate_and_test
from cosmic_ray.plugins import get_operator
from cosmic_ray.util import restore_contents
from cosmic_ray.work_db import use_db
from cosmic_ray.work_item import MutationSpec, TestOutcome, WorkerOutcome, WorkItem, WorkResult

ROOT = Path(__file__).parent.parent
WORK = ROOT / ".cache" / "mutate"
TREE = WORK / "tree"
SESSION = WORK / "session.sqlite"
COPIED = ("src", "tests", "config", "docs", "contracts", "scripts", "benchmarks")
COPIED_FILES = ("pyproject.toml", "Makefile", "README.md", "CHANGELOG.md", "package.json")
LEFT_OUT = shutil.ignore_patterns("__pycache__", "*.egg-info")
DOCUMENT = ROOT / "docs" / "testing.md"

NEAR = {
    "amm/executor_guard.py": ["amm/test_executor_guard.py"],
    "chain/proof.py": ["chain/test_proof.py", "chain/test_contents.py"],
    "core/busy.py": ["trading/test_desk.py", "trading/test_inclusion.py", "trading/test_ledger.py"],
    "core/ledger.py": [
        "trading/test_days.py",
        "trading/test_desk.py",
        "trading/test_deep_reorg.py",
        "trading/test_engine.py",
        "trading/test_ledger.py",
    ],
    "core/market.py": [
        "core",
        "trading/test_deep_reorg.py",
        "trading/test_rivals.py",
        "trading/test_settlement.py",
    ],
    "store/history_check.py": ["store/test_history_check.py", "store/test_history_breaks.py"],
    "study/calibration.py": ["study/test_rewinding.py", "truth/test_calibrate.py"],
    "study/calibration_sums.py": ["study/test_rewinding.py", "truth/test_calibrate.py"],
    "study/stops.py": ["study/test_stops.py"],
    "trading/decide/desk.py": [
        "trading/test_desk.py",
        "trading/test_columns_against_plain_loop.py",
    ],
    "trading/decide/limits.py": ["trading/test_days.py", "study/test_stops.py"],
    "trading/decide/rules.py": [
        "trading/test_desk.py",
        "trading/test_columns_against_plain_loop.py",
    ],
    "trading/decide/taking.py": [
        "trading/test_desk.py",
        "trading/test_columns_against_plain_loop.py",
    ],
    "trading/episodes.py": [
        "trading/test_desk.py",
        "trading/test_deep_reorg.py",
        "trading/test_ledger.py",
    ],
    "trading/models/competition.py": ["trading/test_coin.py", "trading/test_desk.py"],
    "trading/models/gas.py": ["trading/test_gas.py", "trading/test_models.py"],
    "core/gas_schedule.py": ["core/test_gas_schedule.py", "trading/test_gas.py"],
    "trading/models/latency.py": ["trading/test_inclusion.py", "trading/test_models.py"],
    "trading/models/order.py": ["trading/test_rivals.py", "trading/test_settlement.py"],
    "trading/models/rivals.py": ["trading/test_rivals.py", "trading/test_evidence.py"],
    "trading/models/value.py": [
        "trading/test_valuation.py",
        "trading/test_deep_reorg.py",
        "trading/test_models.py",
    ],
    "trading/settle/evidence.py": ["trading/test_evidence.py", "trading/test_deep_reorg.py"],
    "trading/settle/paper_executor.py": [
        "trading/test_inclusion.py",
        "trading/test_gone.py",
        "trading/test_valuation.py",
        "trading/test_deep_reorg.py",
    ],
    "trading/settle/settlement.py": ["trading/test_gone.py", "trading/test_settlement.py"],
}
"""By module: the tests that should notice, the quickest first."""

FARTHER = {
    "amm": ["amm", "executor"],
    "chain": ["chain", "lying"],
    "core": ["core", "trading", "study"],
    "store": ["store", "screens"],
    "study": ["study", "screens", "truth"],
    "trading": ["trading", "study", "executor"],
}
"""By room: all the tests that could notice."""

PATIENCE = 3.0
"""A mutant may take so many times as long as the code does, and half a minute: then it hangs."""

FARTHER_S = 20 * 60


def main() -> int:
    asked = _arguments()
    start = time.monotonic()
    _copy()
    os.chdir(TREE)
    modules = [name for name in NEAR if any(part in name for part in asked.only or [""])]
    if not modules:
        sys.exit(f"no module is called like {asked.only}: there are {', '.join(NEAR)}")
    SESSION.unlink(missing_ok=True)
    with use_db(SESSION) as session:
        init([Path("src/dexarb") / name for name in modules], session, {})
        items = [item for item in session.work_items if not _means_nothing(item.mutations[0])]
        chosen = _sample(items, asked.seed, asked.count)
        ids = {item.job_id for item in chosen}
        others = [item.job_id for item in session.work_items if item.job_id not in ids]
        session.set_multiple_results(others, WorkResult(WorkerOutcome.SKIPPED))
        places = len({_place(item) for item in items})
        print(
            f"{len(items):,} mutants at {places:,} places of {len(modules)} modules; "
            f"{len(chosen)} of them by seed {asked.seed}",
            flush=True,
        )
        patience = _try_the_tests(sorted({_module(item) for item in chosen}))
        found: Counter[str] = Counter()
        for item in chosen:
            result = _try(item, patience)
            session.set_result(item.job_id, result)
            found[_told(item, result)] += 1
    took = time.monotonic() - start
    told = ", ".join(f"{count} {what}" for what, count in sorted(found.items()))
    print(f"{told}; {took / 60:.1f} minutes")
    return 1 if found["SURVIVED"] else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seed", type=int, default=1, help="draws the mutants")
    parser.add_argument("--count", type=int, default=24, help="how many are tried")
    parser.add_argument("--only", action="append", help="modules with this in their name")
    return parser.parse_args()


def _copy() -> None:
    shutil.rmtree(TREE, ignore_errors=True)
    TREE.mkdir(parents=True)
    for name in COPIED:
        shutil.copytree(ROOT / name, TREE / name, ignore=LEFT_OUT)
    for name in COPIED_FILES:
        shutil.copy2(ROOT / name, TREE / name)
    for name in (".venv", "node_modules"):
        (TREE / name).symlink_to(ROOT / name)
    os.environ["PYTHONPATH"] = str(TREE / "src")
    os.environ["NUMBA_CACHE_DIR"] = str(WORK / "numba")
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"


# -- which ------------------------------------------------------------------------------------


def _module(item: WorkItem) -> str:
    return item.mutations[0].module_path.as_posix().removeprefix("src/dexarb/")


def _place(item: WorkItem) -> tuple[str, tuple[int, int], tuple[int, int]]:
    mutation = item.mutations[0]
    return _module(item), mutation.start_pos, mutation.end_pos


def _sample(items: Iterable[WorkItem], seed: int, count: int) -> list[WorkItem]:
    """By module, so that the tests stay warm."""
    by_place: dict[object, list[WorkItem]] = defaultdict(list)
    for item in items:
        by_place[_place(item)].append(item)
    chance = random.Random(seed)
    places = sorted(by_place, key=repr)
    chosen = [
        chance.choice(
            sorted(
                by_place[place], key=lambda item: (item.mutations[0].operator_name, _order(item))
            )
        )
        for place in chance.sample(places, min(count, len(places)))
    ]
    return sorted(chosen, key=_place)


def _order(item: WorkItem) -> int:
    return item.mutations[0].occurrence


def _means_nothing(mutation: MutationSpec) -> bool:
    """In an annotation, which nobody evaluates, or in a decorator: those are the compiler's, which
    change how fast a kernel is, and the data classes'."""
    row, column = mutation.start_pos
    return mutation.operator_name == "core/RemoveDecorator" or any(
        (node.lineno, node.col_offset) <= (row, column)
        and (row, column) < (node.end_lineno or 0, node.end_col_offset or 0)
        for node in _said_for_nobody(mutation.module_path)
    )


_known: dict[Path, list[ast.expr]] = {}


def _said_for_nobody(path: Path) -> list[ast.expr]:
    if path not in _known:
        _known[path] = list(_annotations(ast.parse(path.read_text())))
    return _known[path]


def _annotations(tree: ast.AST) -> Iterator[ast.expr]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield from node.decorator_list
        if isinstance(node, ast.FunctionDef) and node.returns:
            yield node.returns
        if isinstance(node, ast.arg | ast.AnnAssign) and node.annotation:
            yield node.annotation


# -- trying -----------------------------------------------------------------------------------


def _command(tests: Sequence[str]) -> str:
    files = [f"tests/{name}" for name in tests]
    options = ["-q", "-x", "--no-header", "-p", "no:cacheprovider"]
    return shlex.join([str(ROOT / ".venv/bin/python"), "-m", "pytest", *options, *files])


def _try_the_tests(modules: Sequence[str]) -> dict[str, float]:
    """They pass as the code is. Returns how long each module's may take."""
    patience = {}
    for module in modules:
        begun = time.monotonic()
        done = subprocess.run(
            shlex.split(_command(NEAR[module])), capture_output=True, text=True, check=False
        )
        if done.returncode:
            sys.exit(f"the tests of {module} fail without any mutant:\n{done.stdout}")
        patience[module] = 30 + PATIENCE * (time.monotonic() - begun)
    return patience


def _try(item: WorkItem, patience: dict[str, float]) -> WorkResult:
    module = _module(item)
    result = mutate_and_test(item.mutations, _command(NEAR[module]), patience[module])
    if result.test_outcome is TestOutcome.SURVIVED:
        result = mutate_and_test(item.mutations, _command(FARTHER[module.split("/")[0]]), FARTHER_S)
    return result


def _told(item: WorkItem, result: WorkResult) -> str:
    """killed, SURVIVED, or known: docs/testing.md says why."""
    module, line = _module(item), item.mutations[0].start_pos[0]
    before, after = _change(item)
    said = f"`{module}`: `{before}` → `{after}`"
    if result.test_outcome is not TestOutcome.SURVIVED:
        outcome = "killed"
    else:
        outcome = "known" if said in _document() else "SURVIVED"
    print(f"{outcome:8} line {line:<4} {said}", flush=True)
    return outcome


def _document() -> str:
    """With its line breaks closed up."""
    return " ".join(DOCUMENT.read_text().split())


def _change(item: WorkItem) -> tuple[str, str]:
    """The lines that a mutant changes, before and after."""
    mutation = item.mutations[0]
    operator = get_operator(mutation.operator_name)(**mutation.operator_args)
    with restore_contents(mutation.module_path):
        before, after = apply_mutation(mutation.module_path, operator, mutation.occurrence)
    changed: dict[str, list[str]] = {"-": [], "+": []}
    for each in difflib.ndiff(before.splitlines(), (after or before).splitlines()):
        if each[:2] in ("- ", "+ "):
            changed[each[0]].append(" ".join(each[2:].split()))
    return " ".join(changed["-"]), " ".join(changed["+"])


if __name__ == "__main__":
    sys.exit(main())
