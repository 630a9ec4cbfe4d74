"""The curves as pictures: docs/benchmarks/*.svg."""

from __future__ import annotations

from collections.abc import Callable

import matplotlib as mpl
from matplotlib import pyplot
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter

from ..side_by_side.testbed import ROOT
from . import instances, keys, routes
from .samples import Samples

FOLDER = ROOT / "docs" / "benchmarks"
# The same samples make the same file.
mpl.rcParams |= {"svg.hashsalt": "hokusai", "svg.fonttype": "none", "font.size": 10, "axes.grid": True, "grid.alpha": 0.3}


def draw(samples: Samples) -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    _picture("keys", [_cpu_of_keys, _memory_of_keys], samples)
    _picture("routes", [_cpu_of_routes, _memory_of_routes], samples)
    _picture("instances", [_commands, _redis_cpu], samples)


def _picture(name: str, panels: list[Callable[[Samples, Axes], None]], samples: Samples) -> None:
    figure, axes = pyplot.subplots(1, len(panels), figsize=(9, 3.4), layout="constrained")
    for panel, at in zip(panels, axes, strict=True):
        panel(samples, at)
        at.set_ylim(bottom=0)
        at.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        if len(at.get_lines()) > 1:
            at.legend(frameon=False)
    figure.savefig(FOLDER / f"{name}.svg", metadata={"Date": None})
    pyplot.close(figure)


def _cpu_of_keys(samples: Samples, at: Axes) -> None:
    _curves(samples, at, keys.NAME, "cpu_us")
    at.set(xscale="log", xlabel="distinct keys", title="gateway's CPU, µs a request")


def _memory_of_keys(samples: Samples, at: Axes) -> None:
    _curves(samples, at, keys.NAME, "after_mib")
    at.set(xscale="log", xlabel="distinct keys", title="gateway's memory, MiB")


def _cpu_of_routes(samples: Samples, at: Axes) -> None:
    _curves(samples, at, routes.NAME, "cpu_us")
    _routes_axis(at, "gateway's CPU, µs a request")


def _memory_of_routes(samples: Samples, at: Axes) -> None:
    _curves(samples, at, routes.NAME, "after_mib", [routes.MLFLOWS])
    _routes_axis(at, "gateway's memory, MiB")


def _routes_axis(at: Axes, title: str) -> None:
    at.set_xscale("symlog", linthresh=10)
    at.set(xlabel="rows beside MLflow's own", title=title, xticks=routes.ADDED)


def _commands(samples: Samples, at: Axes) -> None:
    _curves(samples, at, instances.NAME, "commands")
    at.set(xlabel="instances", title="Redis commands a request", xticks=instances.COUNTS)


def _redis_cpu(samples: Samples, at: Axes) -> None:
    _curves(samples, at, instances.NAME, "redis_us")
    at.set(xlabel="instances", title="Redis's CPU, µs a request", xticks=instances.COUNTS)


def _curves(samples: Samples, at: Axes, curve: str, figure: str, lines: list[str] | None = None) -> None:
    """A line of medians for each, and from the lowest to the highest around it."""
    for line in lines or samples.lines(curve):
        points = samples.points(curve, line)
        spreads = [samples.spread(curve, line, point, figure) for point in points]
        (drawn,) = at.plot(points, [spread.median for spread in spreads], marker="o", label=line)
        low, high = [spread.low for spread in spreads], [spread.high for spread in spreads]
        at.fill_between(points, low, high, color=drawn.get_color(), alpha=0.15)
