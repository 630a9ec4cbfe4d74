"""The rules about fences and owners, written down once more and apart from the gateway."""

from dataclasses import dataclass

from .change import Change, Request
from .world import Nothing

FENCED, NOT_OWNER, UNKNOWN, MISSING, BY_MLFLOW = "outside_fence", "not_owner", "bad_request", "not_found", "by MLflow"


@dataclass(frozen=True)
class Case:
    # The things are the asker's "own", an "other"'s, "unowned", or "missing".
    whose: str
    # "off", "report" or "enforce"; "closed" is the last with policy.unowned = "closed".
    mode: str
    # The asker's key has "none", one of all names that begin with "in", or one of "nothing".
    fence: str = "none"
    # What the names of the things begin with.
    place: str = "in"
    is_administrator: bool = False

    def __str__(self) -> str:
        who = "an administrator" if self.is_administrator else "bob"
        return f"{self.whose}, {self.mode}, fence: {self.fence}, named {self.place}*, by {who}"


def every_case(change: Change) -> list[Case]:
    usual = ["own", "other", "unowned", "missing"]
    whose = {"nobody's": ["unowned", "missing"], "nowhere": ["own"]}.get(change.of, usual)
    fences = [("none", "in"), ("in", "in"), ("in", "out"), ("nothing", "in")]
    cases = [Case(who, mode, *fence) for who in whose for mode in ("off", "report", "enforce") for fence in fences]
    cases += [Case(who, "closed") for who in ("own", "unowned") if who in whose]
    foreign = "other" if "other" in whose else whose[0]
    return cases + [Case(foreign, "enforce", *fence, is_administrator=True) for fence in fences]


def the_worst_cases(change: Change) -> list[Case]:
    whose = {"nobody's": ["unowned"], "nowhere": ["own"]}.get(change.of, ["own", "other"])
    return [Case(who, "enforce", *fence) for who in whose for fence in (("none", "in"), ("in", "out"))]


def outcome(change: Change, case: Case, request: Request | None = None) -> str:
    """The reason of the gateway's refusal, or that the answer is MLflow's."""
    if case.fence != "none" and is_outside(change, case):
        return FENCED
    if case.mode in ("enforce", "closed") and is_denied(change, case):
        return NOT_OWNER
    judged = case.fence != "none" or (case.mode in ("enforce", "closed") and not case.is_administrator)
    if not judged or case.whose != "missing":
        return BY_MLFLOW
    if change.listed:
        return UNKNOWN
    return MISSING if can_be_foreseen(change, request) else BY_MLFLOW


def can_be_foreseen(change: Change, request: Request | None) -> bool:
    """Whether the thing that is missing has a name, or the number of an experiment. Other ids are random."""
    says = f"{request.json} {request.params} {request.headers}" if request else ""
    return change.of == "model" or (change.of == "experiment" and Nothing.IDS["experiment"] in says)


def is_outside(change: Change, case: Case) -> bool:
    if change.of in ("nobody's", "nowhere") or change.leaves_nothing or (change.with_own and case.fence == "nothing"):
        return True
    if case.whose == "missing":
        # An artifact and a dataset that MLflow does not have are in no experiment. Other things have no name that could be outside.
        if change.of in ("artifact", "dataset"):
            return True
        if change.of == "experiment":
            return False
    return case.fence == "nothing" or case.place == "out"


def is_denied(change: Change, case: Case) -> bool:
    """Whether ownership forbids it, in whatever mode."""
    if case.is_administrator or case.mode == "off":
        return False
    if change.of == "nobody's" or (change.of == "artifact" and case.whose == "missing"):
        return True
    if (change.of == "nowhere" or change.leaves_nothing) and case.mode == "closed":
        return True
    # A name that is to be made belongs to nobody yet.
    if change.of in ("experiment_name", "model_name"):
        return False
    return case.whose == "other" or (case.whose == "unowned" and case.mode == "closed")


def is_reported(change: Change, case: Case) -> bool:
    would_be_unknown = change.listed and case.whose == "missing"
    return case.mode == "report" and outcome(change, case) == BY_MLFLOW and (is_denied(change, case) or would_be_unknown)
