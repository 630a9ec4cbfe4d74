"""What was measured: one sample a point and round, kept as JSON so that pictures and document can be made again."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from ..side_by_side.results import Spread


@dataclass(frozen=True)
class Sample:
    curve: str
    # Of several lines in one picture.
    line: str
    # Where on the curve: so many keys, routes, instances.
    at: int
    round: int
    figures: dict[str, float]


@dataclass
class Samples:
    # What the machine, the versions and the options were.
    about: dict[str, object] = field(default_factory=dict)
    samples: list[Sample] = field(default_factory=list)

    def add(self, sample: Sample) -> None:
        self.samples.append(sample)
        figures = "  ".join(f"{name} {value:,.2f}" for name, value in sample.figures.items())
        print(f"{sample.curve:9} {sample.line:18} {sample.at:7,}  round {sample.round + 1}  {figures}", flush=True)

    def lines(self, curve: str) -> list[str]:
        return list(dict.fromkeys(sample.line for sample in self.samples if sample.curve == curve))

    def points(self, curve: str, line: str) -> list[int]:
        return sorted({sample.at for sample in self.samples if (sample.curve, sample.line) == (curve, line)})

    def spread(self, curve: str, line: str, at: int, figure: str) -> Spread:
        wanted = (sample.figures for sample in self.samples if (sample.curve, sample.line, sample.at) == (curve, line, at))
        spread = Spread.of(figures[figure] for figures in wanted if figure in figures)
        if spread is None:
            raise KeyError(f"{figure} of {curve}, {line}, {at} was not measured")
        return spread

    def ratio(self, curve: str, line: str, at: int, to: int, figure: str) -> Spread:
        """Of one point to another, round by round: what disturbed a round disturbed both."""

        def by_round(point: int) -> dict[int, float]:
            wanted = (sample for sample in self.samples if (sample.curve, sample.line, sample.at) == (curve, line, point))
            return {sample.round: sample.figures[figure] for sample in wanted if figure in sample.figures}

        ours, theirs = by_round(at), by_round(to)
        spread = Spread.of(ours[number] / theirs[number] for number in ours if number in theirs)
        if spread is None:
            raise KeyError(f"{figure} of {curve}, {line}, {at} and {to} was not measured in one round")
        return spread

    def median(self, curve: str, line: str, at: int, figure: str) -> float:
        return self.spread(curve, line, at, figure).median

    def save(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(asdict(self), indent=1))

    @classmethod
    def load(cls, path: Path) -> Samples:
        kept = json.loads(path.read_text())
        return cls(kept["about"], [Sample(**sample) for sample in kept["samples"]])
