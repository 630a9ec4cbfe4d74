"""A change that can be asked for: a request, and what MLflow makes of it where nobody stops it."""

from collections.abc import Callable
from dataclasses import dataclass, field

from .world import Things

# What MLflow does.
CHANGES, PASSES, REFUSES = "changes it", "answers 200 and changes nothing", "refuses"
KEEPS_SOME = "refuses, and has changed something"


@dataclass
class Request:
    names: dict[str, str] = field(default_factory=dict)
    json: dict | None = None
    params: dict | None = None
    data: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)


def ask(**body) -> Request:
    return Request(json=body)


def at(names: dict[str, str], **body) -> Request:
    """The names in the path, and the body."""
    return Request(names, json=body)


@dataclass(frozen=True)
class Change:
    # What decides: an "experiment" or what is in it, a "model", the "experiment_name" or "model_name" of a new one, an
    # "artifact", a "dataset", "nobody's": a thing that has no owner and is in nothing that has one, or "nowhere": a new dataset in no
    # experiment.
    of: str
    # Of the things in question, and the asker's own.
    request: Callable[[Things, Things], Request]
    # The things that are not as they were behind it.
    spends: tuple[str, ...] = ()
    # Whether the request names things of the asker's own too.
    with_own: bool = False
    # Whether the things are in a list, or a metric's model, where the gateway refuses what MLflow does not have.
    listed: bool = False
    # Whether it takes a dataset out of its last experiment.
    leaves_nothing: bool = False
    # What MLflow does where it is not the usual: by whose the things are, or that and MLflow's version. Each has a comment.
    but: dict[str, str] = field(default_factory=dict)

    def by_mlflow(self, whose: str, version: str) -> str:
        usual = CHANGES
        if (whose == "missing") != self.of.endswith("_name"):
            usual = REFUSES
        return self.but.get(f"{whose} {version}") or self.but.get(whose) or usual


# MLflow's own answers that are not the usual. It never does it:
NEVER = dict.fromkeys(["own", "other", "unowned", "missing"], REFUSES)
# It stores what it is told of a thing that it does not have.
UNCHECKED = {"missing": CHANGES}
# Nothing is there to be deleted.
DELETES_NOTHING = {"missing": PASSES}


def of(what: str, request, *spends: str, **more) -> Change:
    return Change(what, request, spends, **more)


def inside(request, *spends: str, **more) -> Change:
    """It is about an experiment, or what is in one."""
    return Change("experiment", request, spends, **more)


def beside(request, *spends: str, **more) -> Change:
    """Likewise, and something of the asker's own is named too."""
    return Change("experiment", request, spends, with_own=True, **more)
