"""Tables, for a terminal."""

from __future__ import annotations

from .results import Results, Spread
from .run import SCENARIOS

FIGURES = ("cpu_us", "per_second", "median_ms", "p99_ms", "cores", "cpu_s", "seconds", "peak_mib", "before_mib", "after_mib", "each_kib")


def tables(results: Results) -> str:
    return "\n".join(_table(results, scenario, workers) for workers in (1, 2) for scenario in SCENARIOS)


def _table(results: Results, scenario: str, workers: int) -> str:
    lines = []
    for contender in results.contenders(scenario, workers):
        shown = [(figure, results.spread(scenario, contender, workers, figure)) for figure in FIGURES]
        cells = [f"{figure} {_spread(spread)}" for figure, spread in shown if spread]
        lines.append(f"{scenario:8} {workers}w {contender:17} " + "  ".join(cells))
    return "\n".join(lines)


def _spread(spread: Spread) -> str:
    return f"{spread.median:,.2f} ({spread.low:,.2f}–{spread.high:,.2f})"
