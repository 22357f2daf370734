"""The report: one file that loads nothing, with every text as text."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dexarb.screens.page import POINTS, Cell, Line, Section, chart, escaped, page, table
from tests.support.command import Dexarb
from tests.support.scenes import scene
from tests.support.traded import World, record_and_trade, strategy

VOID = {"meta", "br", "link", "img", "input", "hr"}
HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\u202e\x1b[31m&\"'"


class Reading(HTMLParser):
    """Tags that are balanced, and what is in them."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "script":
            self.scripts.append(data)


def read(text: str) -> Reading:
    found = Reading()
    found.feed(text)
    found.close()
    assert found.open == []
    return found


def charts(text: str) -> Iterator[dict[str, Any]]:
    for each in re.findall(r'<script type="application/json">(.*?)</script>', text, re.DOTALL):
        yield json.loads(each)


def unpacked(data: object) -> list[float]:
    return [float(each) for each in np.frombuffer(base64.b64decode(str(data)), dtype="<f4")]


def test_whoever_wrote_it_text_is_text() -> None:
    parts = [
        table([HOSTILE], [[Cell(HOSTILE, 1)], [HOSTILE]], HOSTILE),
        chart([1.0, 2.0], [Line(HOSTILE, [1.0, None])], x_label=HOSTILE, y_label="y"),
    ]
    text = page(HOSTILE, HOSTILE, [Section(HOSTILE, HOSTILE, parts)])
    found = read(text)
    assert not [tag for tag, _ in found.tags if tag == "img"]
    assert len(found.scripts) == 3  # a chart's data, uPlot, ours
    assert "\u202e" not in text
    assert "\x1b" not in text
    assert not any(name.startswith("on") for _, attrs in found.tags for name in attrs)


def test_nothing_is_loaded_and_only_our_scripts_run() -> None:
    drawn = chart([1.0], [Line("a", [1.0])], x_label="x", y_label="y")
    text = page("t", "l", [Section("s", "l", [drawn])])
    found = read(text)
    assert not [attrs for _, attrs in found.tags if attrs.keys() & {"src", "srcset", "data"}]
    assert all(str(attrs.get("href", "#")).startswith("#") for _, attrs in found.tags)
    assert "@import" not in text
    assert not re.search(r"url\(\s*['\"]?https?:", text)
    (policy,) = [
        str(attrs["content"])
        for tag, attrs in found.tags
        if tag == "meta" and attrs.get("http-equiv") == "Content-Security-Policy"
    ]
    assert policy.startswith("default-src 'none'")
    for script in found.scripts[1:]:
        digest = base64.b64encode(sha256(script.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy


def test_a_line_is_thinned_out_and_keeps_its_ends() -> None:
    x = [1_700_000_000.0 + each for each in range(57_600)]
    text = chart(x, [Line("a", [each - x[0] for each in x])], x_label="x", y_label="y", time=True)
    (told,) = charts(text)
    (line,) = told["lines"]
    seconds = unpacked(told["x"])
    assert len(seconds) == len(unpacked(line["y"])) <= POINTS + 1
    assert (told["x0"], seconds[0], seconds[-1]) == (x[0], 0.0, 57_599.0)
    assert len(text) < 60_000


@pytest.fixture
def run(tmp_path: Path) -> World:
    two = strategy("Two <b>", min_profit_usd=2)
    return record_and_trade(tmp_path, *scene(), strategy("One"), two)


def test_the_command(run: World, dexarb: Dexarb, tmp_path: Path) -> None:
    out = tmp_path / "report.html"
    said = dexarb("report", "-c", run.config, "-o", out, "--json")
    assert said.code == 0, said.err
    told = said.json
    assert told["bytes"] == out.stat().st_size < 1_500_000
    assert {"Leaderboard", "Verdict", "Why not more"} <= set(told["sections"])
    text = out.read_text()
    read(text)
    assert re.search(r"Chain \d+, from .* \([\d.]+ h\) until .*UTC", text)
    status = dexarb("status", "-c", run.config, "--json").json
    for row in status["strategies"]:
        assert escaped(row["name"]) in text
    again = dexarb("report", "-c", run.config, "-o", out)
    assert again.code == 2
    assert "--force" in again.err
    assert dexarb("report", "-c", run.config, "-o", out, "--force").code == 0
