"""A page of HTML that needs nothing but itself: tables, charts, and text that others wrote.

All text goes through `escaped`; there is no other way into the page. uPlot (MIT, its licence beside
it) draws; its source, ours and the styles are put into the page, so that nothing is loaded.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from html import escape
from importlib.resources import files
from typing import NamedTuple

import numpy as np

from dexarb.core.text import seen

POINTS = 2_000
"""Of a line, at most: more than a screen has, and few enough for a file."""


class Html(str):
    """Text that is markup already."""


class Cell(NamedTuple):
    """sign: of a gain or a loss, to be coloured. wide: words, not a figure."""

    text: str
    sign: int = 0
    wide: bool = False


class Line(NamedTuple):
    """y: None where nothing is known."""

    name: str
    y: Sequence[float | None]


@dataclass(frozen=True, slots=True)
class Section:
    title: str
    lead: str
    parts: Sequence[Html]


def escaped(text: str) -> Html:
    """As text and nothing else, whoever wrote it; what cannot be seen is made visible."""
    return Html(escape(seen(text), quote=True))


def table(heads: Sequence[Cell | str], rows: Iterable[Sequence[Cell | str]], caption: str) -> Html:
    """caption: for those who do not see it."""
    head = "".join(_cell(each, 'th scope="col"') for each in heads)
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows)
    return Html(
        f'<div class="wide" tabindex="0" role="region" aria-label="{escaped(caption)}"><table>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _cell(cell: Cell | str, tag: str = "td") -> str:
    text, sign, wide = cell if isinstance(cell, Cell) else (cell, 0, False)
    kind = "text" if wide else {1: "up", -1: "down"}.get(sign, "")
    of_kind = f' class="{kind}"' if kind else ""
    return f"<{tag}{of_kind}>{escaped(text)}</{tag.split(maxsplit=1)[0]}>"


def chart(
    x: Sequence[float],
    lines: Sequence[Line],
    *,
    x_label: str,
    y_label: str,
    time: bool = False,
    log: bool = False,
) -> Html:
    """x ascends: UNIX seconds where it is time. Thinned out to POINTS."""
    step = max(1, math.ceil(len(x) / POINTS))
    kept = sorted({*range(0, len(x), step), *([len(x) - 1] if x else [])})
    x0 = x[0] if time and x else 0.0
    told = {
        "x0": x0,
        "x": _packed([x[at] - x0 for at in kept]),
        "lines": [
            {"name": seen(line.name), "y": _packed([line.y[at] for at in kept])} for line in lines
        ],
        "xLabel": x_label,
        "yLabel": y_label,
        "time": time,
        "log": log,
    }
    # Within a script nothing but its end is markup.
    data = json.dumps(told).replace("<", "\\u003c")
    label = f"{y_label} by {x_label}: {', '.join(line.name for line in lines)}"
    return Html(
        f'<div class="chart" role="img" aria-label="{escaped(label)}">'
        f'<script type="application/json">{data}</script></div>'
    )


def _packed(values: Sequence[float | None]) -> str:
    """Little-endian float32, NaN for nothing, in base64."""
    column = np.array([math.nan if each is None else each for each in values], dtype="<f4")
    return base64.b64encode(column.tobytes()).decode()


def text_block(text: str) -> Html:
    return Html(f'<pre tabindex="0">{escaped_lines(text)}</pre>')


def escaped_lines(text: str) -> str:
    return "\n".join(escaped(line) for line in text.splitlines())


def page(title: str, lead: str, sections: Sequence[Section]) -> str:
    """The whole file. Nothing in it is loaded from anywhere, and the browser is told to refuse."""
    scripts = [_asset("uplot.js"), _asset("page.js")]
    hashes = " ".join(f"'sha256-{_digest(each)}'" for each in scripts)
    policy = f"default-src 'none'; style-src 'unsafe-inline'; script-src {hashes}; img-src data:"
    links = "".join(f'<a href="#s{n}">{escaped(each.title)}</a>' for n, each in enumerate(sections))
    body = "".join(
        f'<section id="s{n}"><h2>{escaped(each.title)}</h2><p>{escaped(each.lead)}</p>'
        f"{''.join(each.parts)}</section>"
        for n, each in enumerate(sections)
    )
    code = "".join(f"<script>{each}</script>" for each in scripts)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escaped(title)}</title>"
        f"<style>{_asset('uplot.css')}{_asset('page.css')}</style></head><body>"
        f'<h1>{escaped(title)}</h1><p class="dim">{escaped(lead)}</p><nav>{links}</nav>'
        f"<main>{body}</main>{code}</body></html>\n"
    )


@cache
def _asset(name: str) -> str:
    return files(__name__).joinpath(name).read_text(encoding="utf-8")


def _digest(script: str) -> str:
    return base64.b64encode(sha256(script.encode()).digest()).decode()
