"""The command line: `python -m benches.side_by_side`, from the root of the repository."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from pathlib import Path

from . import machine, report
from .contenders.every import EVERY, before
from .load import WrongAnswer
from .results import Results
from .run import SCENARIOS, run
from .scenarios import Plan
from .testbed import ROOT, gateway_binary

DOCUMENT = ROOT / "docs" / "BENCHMARKS.md"
RESULTS = ROOT / "target" / "bench" / "results.json"


def words(known: list[str]):
    """Words between commas, each of them known."""

    def parse(text: str) -> list[str]:
        if strangers := [word for word in text.split(",") if word not in known]:
            raise argparse.ArgumentTypeError(f"{', '.join(strangers)}: not one of {', '.join(known)}")
        return text.split(",")

    return parse


def options() -> argparse.Namespace:
    names = [contender.name for contender in EVERY]
    parser = argparse.ArgumentParser(prog="python -m benches.side_by_side", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="through all contenders (5)")
    parser.add_argument("--seconds", type=int, default=2, help="of each load (2)")
    parser.add_argument(
        "--before",
        type=Path,
        metavar="PATH",
        default=Path(path) if (path := os.environ.get("GATEWAY_BEFORE")) else None,
        help="another build of the gateway, measured beside this one (GATEWAY_BEFORE)",
    )
    parser.add_argument("--contenders", type=words(names), default=names, help=",".join(names))
    parser.add_argument("--scenarios", type=words(SCENARIOS), default=SCENARIOS, help=",".join(SCENARIOS))
    parser.add_argument("--workers", type=words(["1", "2"]), default=["1", "2"], help="1,2")
    parser.add_argument("--document", type=Path, help=f"also written there; {DOCUMENT.relative_to(ROOT)} by make bench")
    parser.add_argument("--results", type=Path, default=RESULTS, help="where every sample is kept")
    parser.add_argument("--again", type=Path, metavar="RESULTS", help="only the report of results that were kept")
    return parser.parse_args()


def main() -> int:
    # What was started is stopped, whoever ends this.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    given = options()
    if given.again:
        results = Results.load(given.again)
    else:
        for binary in filter(None, (gateway_binary(), given.before)):
            if not binary.exists():
                print(f"no gateway at {binary}: cargo build --release --locked", file=sys.stderr)
                return 1
        about = machine.describe() | {"rounds": given.rounds, "seconds": given.seconds, "began": time.strftime("%Y-%m-%d")}
        results = Results(about)
        contenders = [contender for contender in EVERY if contender.name in given.contenders]
        if given.before:
            about["before"] = machine.commit(given.before)
            contenders = before(given.before.absolute()) + contenders
        plan = Plan(contenders, given.scenarios, given.rounds, given.seconds, results)
        begin = time.monotonic()
        try:
            run(plan, [int(count) for count in given.workers])
        except WrongAnswer as wrong:
            print(f"not measured: {wrong}", file=sys.stderr)
            return 1
        finally:
            results.about["minutes"] = round((time.monotonic() - begin) / 60, 1)
            results.save(given.results)
    print()
    print(report.terminal(results))
    if given.document:
        given.document.write_text(report.document(results))
    return 0


if __name__ == "__main__":
    sys.exit(main())
