"""The command line: `python -m benches.growth`, from the root of the repository."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from ..side_by_side import machine
from ..side_by_side.load import WrongAnswer
from ..side_by_side.testbed import ROOT, gateway_binary
from . import document, guard, instances, keys, pictures, routes, sizes
from .samples import Samples

RESULTS = ROOT / "target" / "bench" / "growth.json"
CURVES = [keys.NAME, routes.NAME, instances.NAME, guard.NAME, sizes.NAME]


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benches.growth", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="through all points of a curve (5)")
    parser.add_argument("--seconds", type=int, default=2, help="of each load (2)")
    parser.add_argument("--curves", nargs="+", choices=CURVES, default=CURVES, help="which are measured; the others stay as they are kept")
    parser.add_argument("--again", action="store_true", help="only pictures and document, of what was measured before")
    return parser.parse_args()


def main() -> int:
    given = options()
    samples = Samples.load(RESULTS) if RESULTS.exists() else Samples()
    if not given.again:
        if not gateway_binary().exists():
            print(f"no gateway at {gateway_binary()}: cargo build --release --locked", file=sys.stderr)
            return 1
        samples.samples = [sample for sample in samples.samples if sample.curve not in given.curves]
        samples.about |= machine.describe() | {"rounds": given.rounds, "seconds": given.seconds, "began": time.strftime("%Y-%m-%d")}
        try:
            measure(samples, given)
        except WrongAnswer as wrong:
            print(f"not measured: {wrong}", file=sys.stderr)
            return 1
        samples.save(RESULTS)
    pictures.draw(samples)
    document.write(samples)
    return 0


def measure(samples: Samples, given: argparse.Namespace) -> None:
    if keys.NAME in given.curves:
        keys.measure(samples, given.rounds, given.seconds)
    if routes.NAME in given.curves:
        routes.measure(samples, given.rounds, given.seconds)
    if instances.NAME in given.curves:
        instances.measure(samples, given.rounds)
    if guard.NAME in given.curves:
        guard.measure(samples)
    if sizes.NAME in given.curves:
        sizes.measure(samples, given.seconds)


if __name__ == "__main__":
    sys.exit(main())
