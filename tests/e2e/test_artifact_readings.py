"""Some hundred thousand odd artifact paths, put to MLflow's own functions and to the gateway."""

import functools
import json
import posixpath
import random
import subprocess
from urllib.parse import quote, unquote

import pytest
from mlflow.environment_variables import MLFLOW_ENABLE_WORKSPACES
from mlflow.exceptions import MlflowException
from mlflow.server.handlers import _get_workspace_scoped_repo_path_if_enabled
from mlflow.utils.uri import validate_path_is_safe
from mlflow.utils.workspace_context import WorkspaceContext
from stack import ROOT

STORE = "/api/2.0/mlflow-artifacts/artifacts"
SEED, PATHS = 15, 200_000
# Pieces that mean something to somebody, and some that mean nothing.
PIECES = [
    *[".", "..", "/", "//", "workspaces", "workspaces/", "theirs", "ours", "default", "1", "7/run", "model.pkl"],
    *["%", ";", "?", "#", ":", "\\", "+", "&", "=", "@", "[", "]", "~", "é", "日本", "\u2100", "\ufffd", "😀", "\u00a0", "\u2028"],
    *["file:", "FILE:", "http:", "tel:", "e:", "C:", "C:/", "file://host", "s3://", "%25", "%2e", "%2F", "%3b", "%00", "%ff", "%c0%ae"],
    *[" ", "\t", "\r", "\n", "\x00", "\x01", "\x0b", "\x1c", "\x1f", "\x7f", "\x85"],
]
# What MLflow's own client may be given as the name of a file.
IN_NAMES = [*"ab.-_ %;?:\\+&=@[]~é日😀\t\r\n\x01\x17\x1f\x7f", "%25", "%2e", "%17", "%ff", "%ab", "lr=1e-3;bs=32"]


def encoded(chance: random.Random, text: str) -> str:
    """Some or all of it percent-encoded, up to three times."""
    for _ in range(chance.choice([0, 0, 0, 1, 1, 2, 3])):
        rate = chance.choice([0.2, 1.0])
        text = "".join(quote(c, safe="") if chance.random() < rate else c for c in text)
        text = text.replace(".", "%2e") if chance.random() < 0.2 else text
        text = text.lower() if chance.random() < 0.1 else text
    return text


@functools.cache
def odd_paths(count: int = PATHS) -> list[str]:
    """Each as MLflow's server hands it on: decoded once. Every fifth is an odd name at a usual place."""
    chance, found = random.Random(SEED), []
    for number in range(count):
        if number % 5 == 0:
            name = "".join(chance.choices(IN_NAMES, k=chance.randint(1, 8)))
            found.append(f"7/run/artifacts/{name}")
        else:
            pieces = [encoded(chance, piece) for piece in chance.choices(PIECES, k=chance.randint(1, 7))]
            found.append(encoded(chance, "".join(pieces)))
    return found


@pytest.fixture(scope="module")
def decide():
    """The gateway's own decisions (examples/decide_targets.rs)."""
    build = ["cargo", "build", "--locked", "--quiet", "--example", "decide_targets", "--message-format=json"]
    made = subprocess.run(build, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout
    messages = [json.loads(line) for line in made.splitlines()]
    (program,) = {message["executable"] for message in messages if message.get("executable")}

    def decisions(asked: list[tuple]) -> list[dict]:
        lines = [json.dumps(dict(zip(("method", "target", "workspace"), one, strict=True))) for one in asked]
        ran = subprocess.run([program], input="\n".join(lines), check=True, stdout=subprocess.PIPE, text=True)
        answers = [json.loads(line) for line in ran.stdout.removesuffix("\n").split("\n")]
        assert len(answers) == len(asked)
        return answers

    return decisions


def mlflows(path: str) -> str | None:
    """What MLflow makes of it, unless it refuses it."""
    try:
        return validate_path_is_safe(path)
    except (MlflowException, ValueError):
        return None


def in_store(path: str, workspace: str, monkeypatch) -> str | None:
    """Where it leads in the artifact store, unless MLflow refuses it."""
    monkeypatch.setenv(MLFLOW_ENABLE_WORKSPACES.name, "true")
    try:
        with WorkspaceContext(workspace):
            scoped = _get_workspace_scoped_repo_path_if_enabled(path)
    except MlflowException:
        return None
    return posixpath.normpath(scoped) if scoped else "."


def may_be_refused(path: str, reading: str) -> bool:
    """What the gateway refuses though MLflow takes it: segments that say nothing, and addresses."""
    segments = reading.removesuffix("/").split("/")
    while (decoded := unquote(path.lstrip("".join(map(chr, range(33)))))) != path:
        path = decoded
    return path.startswith("/") or any(segment in ("", ".", "..") for segment in segments) or ":" in segments[0]


def test_the_gateway_reads_a_path_as_mlflow_does(decide):
    paths = odd_paths()
    # One in four in a query, the others in a path.
    targets = [f"{STORE}?path={quote(path, safe='/;')}" if number % 4 == 3 else f"{STORE}/{quote(path, safe='/;')}" for number, path in enumerate(paths)]
    taken = names = changed = 0
    for number, (path, decision) in enumerate(zip(paths, decide([("GET", target, None) for target in targets]), strict=True)):
        reading = mlflows(path)
        if reading is None:
            continue
        if "artifacts" in decision:
            assert decision["artifacts"] == [reading], (path, reading)
        else:
            assert may_be_refused(path, reading), (path, reading, decision)
        taken += 1
        names += number % 5 == 0 and not may_be_refused(path, reading)
        changed += reading != path
    assert taken > PATHS / 4 and names > PATHS / 8 and changed > PATHS / 20, (taken, names, changed)


@pytest.mark.parametrize("workspace", ["default", "ours"])
def test_what_is_granted_is_in_the_workspace(decide, monkeypatch, workspace):
    chance = random.Random(SEED)
    paths = chance.sample(odd_paths(), PATHS // 10) + chance.sample(list(near_misses()), 10_000)
    asked = [(method, quote(path, safe="/;")) for path in paths for method in ("GET", "DELETE")]
    targets = [(method, f"{STORE}/{path}", workspace) for method, path in asked]
    targets += [("GET", f"{STORE}?path={path}", workspace) for _, path in asked]
    granted = 0
    for (method, target, _), decision, path in zip(targets, decide(targets), [p for p in paths for _ in "12"] * 2, strict=True):
        if not decision.get("granted"):
            continue
        granted += 1
        reading = mlflows(path)
        place = None if reading is None else in_store(reading, workspace, monkeypatch)
        if place is None:
            continue
        segments = place.split("/")
        assert ".." not in segments, target
        if workspace == "default":
            assert segments[0].isdigit() or segments[:2] == ["workspaces", "default"], target
        else:
            assert segments[:2] == ["workspaces", "ours"], target
        assert method == "GET" or place not in (".", "workspaces", f"workspaces/{workspace}"), target
    assert granted > 1000, granted


def near_misses():
    """Paths that nearly lead to another workspace or to a root."""
    chance = random.Random(SEED)
    strange = [" ", "\t", "\n", "\r", "\x1f", "\x00", ";", "?", "#", "./", "/", "%20", "%09", "%2e/", "%252e%2f", "7/../"]
    for _ in range(12_000):
        path = chance.choice(["workspaces/theirs/1/run/x", "workspaces/theirs", "workspaces", ".", "", "7", "workspaces/ours", "7/run"])
        for _ in range(chance.randint(1, 3)):
            at = chance.choice([0, 0, len(path), chance.randint(0, len(path))])
            path = path[:at] + chance.choice(strange) + path[at:]
        yield encoded(chance, path)
