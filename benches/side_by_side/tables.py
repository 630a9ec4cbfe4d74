"""The figures as tables of Markdown, with columns that also line up on a terminal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .contenders.every import TITLES, compared
from .results import Results, Spread
from .scenarios import connections, owned, real, served, steady, streams, workers
from .targets import judge


@dataclass(frozen=True)
class Column:
    title: str
    # Of the records' figures.
    figure: str
    digits: int = 1
    # Against the gateway's: the gateway's figure divided by this one's, round by round.
    ratio: bool = False


CPU = Column("CPU, µs a request", "cpu_us")
AGAINST = Column("gateway against it", "cpu_us", 2, ratio=True)
THROUGHPUT = [Column("requests a second", "per_second", 0)]
LATENCY = [Column("median, ms", "median_ms", 2), Column("p99, ms", "p99_ms", 2)]
BUSY = Column("cores busy", "cores", 2)
# The gateway drops reports where there are too many.
REPORTED = Column("usage reported, %", "reported_percent", 0)
STREAM = [Column("CPU, s a GiB", "cpu_s", 2), Column("gateway against it", "cpu_s", 2, ratio=True)]
STREAM += [Column("seconds", "seconds", 2), Column("peak memory, MiB", "peak_mib", 0)]
BEFORE = Column("before, MiB", "before_mib")
LOADED = [BEFORE, Column("after, MiB", "after_mib"), Column("peak, MiB", "peak_mib")]
IDLE = [BEFORE, Column("with 10,000, MiB", "after_mib"), Column("each, KiB", "each_kib", 2)]


def targets(results: Results) -> str:
    rows = []
    for target in judge(results):
        measured = spread(target.measured, 2) if target.measured else ""
        wanted = f"{target.sign} {target.limit:g} {target.unit}"
        rows.append([target.what, wanted, measured, target.verdict + (f" ({target.note})" if target.note else "")])
    return table(["target", "wanted", "measured", ""], rows)


def figures(results: Results, heading: Callable[[str], str]) -> str:
    """Every scenario that was measured, each under a heading."""
    parts: list[str] = []
    for count in (1, 2):
        named = "1 worker" if count == 1 else f"{count} workers"
        for title, scenario, columns in _scenarios():
            if names := results.contenders(scenario, count):
                rows = [[TITLES[name], *_cells(results, scenario, name, count, columns)] for name in names]
                parts += [heading(f"{title}, {named}"), table(["", *(column.title for column in columns)], rows)]
    return "\n\n".join(parts)


def _scenarios() -> list[tuple[str, str, list[Column]]]:
    of_requests = [CPU, AGAINST, *THROUGHPUT, *LATENCY, BUSY, REPORTED]
    return [
        *((scenario.title, scenario.name, of_requests) for scenario in served.SCENARIOS),
        (workers.LOAD.title, workers.NAME, of_requests),
        (owned.LOAD.title, owned.NAME, [CPU, *THROUGHPUT, *LATENCY]),
        ("GET at half load, 32 connections", steady.NAME, [*THROUGHPUT, *LATENCY]),
        ("1 GiB down", streams.DOWN, STREAM),
        ("1 GiB up", streams.UP, STREAM),
        ("Memory with 256 connections", connections.LOADED, LOADED),
        ("Memory of idle connections", connections.IDLE, IDLE),
        ("A real MLflow, 4 connections", real.NAME, [*THROUGHPUT, *LATENCY, CPU]),
    ]


def _cells(results: Results, scenario: str, name: str, workers: int, columns: list[Column]) -> list[str]:
    cells = []
    for column in columns:
        if column.ratio:
            known = None if name == "gateway" else results.ratio(scenario, compared(name), name, workers, column.figure)
        else:
            known = results.spread(scenario, name, workers, column.figure)
        cells.append(spread(known, column.digits) if known else "")
    return cells


def spread(of: Spread, digits: int) -> str:
    median, low, high = (f"{value:,.{digits}f}" for value in (of.median, of.low, of.high))
    return median if low == high else f"{median} ({low}–{high})"


def table(head: list[str], rows: list[list[str]]) -> str:
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]

    def line(cells: list[str]) -> str:
        # Figures stand at the right.
        padded = [cell.ljust(width) if at == 0 else cell.rjust(width) for at, (cell, width) in enumerate(zip(cells, widths))]
        return f"| {' | '.join(padded)} |"

    rule = ["-" * width if at == 0 else "-" * (width - 1) + ":" for at, width in enumerate(widths)]
    return "\n".join([line(head), line(rule), *map(line, rows)])
