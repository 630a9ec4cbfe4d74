"""What was measured: one record a sample, in the order of measuring, kept as JSON so that a report can be made again."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Record:
    scenario: str
    contender: str
    workers: int
    round: int
    figures: dict[str, float]


@dataclass(frozen=True)
class Spread:
    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread | None:
        """None of nothing."""
        known = list(values)
        return cls(statistics.median(known), min(known), max(known)) if known else None


@dataclass
class Results:
    # What the machine, the versions and the options were.
    about: dict[str, object] = field(default_factory=dict)
    records: list[Record] = field(default_factory=list)

    def add(self, record: Record) -> None:
        self.records.append(record)
        figures = "  ".join(f"{name} {value:,.2f}" for name, value in record.figures.items())
        print(f"{record.scenario:9} {record.workers}w  round {record.round + 1}  {record.contender:17} {figures}", flush=True)

    def values(self, scenario: str, contender: str, workers: int, figure: str) -> dict[int, float]:
        """By round."""
        wanted = (scenario, contender, workers)
        return {
            record.round: record.figures[figure]
            for record in self.records
            if (record.scenario, record.contender, record.workers) == wanted and figure in record.figures
        }

    def spread(self, scenario: str, contender: str, workers: int, figure: str) -> Spread | None:
        return Spread.of(self.values(scenario, contender, workers, figure).values())

    def ratio(self, scenario: str, contender: str, other: str, workers: int, figure: str) -> Spread | None:
        """Of one to the other, round by round: what disturbed a round disturbed both."""
        ours = self.values(scenario, contender, workers, figure)
        theirs = self.values(scenario, other, workers, figure)
        return Spread.of(ours[number] / theirs[number] for number in ours if theirs.get(number))

    def contenders(self, scenario: str, workers: int) -> list[str]:
        """Those that were measured, in the order of the first round."""
        measured = (record for record in self.records if (record.scenario, record.workers) == (scenario, workers))
        return list(dict.fromkeys(record.contender for record in measured))

    def save(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(asdict(self), indent=1))

    @classmethod
    def load(cls, path: Path) -> Results:
        kept = json.loads(path.read_text())
        return cls(kept["about"], [Record(**record) for record in kept["records"]])
