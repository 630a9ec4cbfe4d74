"""Artifact paths that MLflow reads in another way than they are written: the store's own disk tells what became of them."""

import contextlib
import hashlib
import http.client
import itertools
import json
from pathlib import Path
from urllib.parse import quote, urlsplit

import mlflow
import pytest
import requests
from mlflow.tracking import MlflowClient
from stack import Stack

SECRET = "told-to-nobody"
STORE = "/api/2.0/mlflow-artifacts"
# What MLflow takes away where it stands before a path; the last ones stand anywhere.
BEFORE = ["%20", "%00", "%01", "%1f", "%1F", "%2520", "%25250b", "%20%09"]
ANYWHERE = ["%09", "%0a", "%0A", "%0d", "%2509", "%250A%0d"]
# And what it takes away at the end.
BEHIND = ["%3b", "%3B", "%3f", "%23", "%253B%3F", ";"]
# What is nothing to MLflow.
NOTHING = ["%20", "%09", "%0a", "%1f", "%2520", "%3b", "%3F", "%23", "file:", "File%3A", "fi%09le:", "file:%3fx", "%2f%2f", "%2F%2f%3F"]


def odd(path: str):
    """A path in ways that are the same to MLflow."""
    yield path
    yield from (before + path for before in BEFORE + ANYWHERE)
    yield from (path + behind for behind in BEHIND + ANYWHERE)
    middle = len(path) // 2
    yield from (path[:middle] + tab + path[middle:] for tab in ANYWHERE)
    yield from (f"%{ord(path[0]):02x}{path[1:]}", f"%25{ord(path[0]):02X}{path[1:]}")


def roots() -> list[str]:
    """The store, all workspaces, and one of them."""
    named = [*odd("."), *odd("workspaces"), *odd("workspaces/theirs"), *odd("workspaces/theirs/"), *odd("./workspaces")]
    return [*named, *NOTHING, "Workspaces", "1%2f..", "1/%2e%2e", "%2e%2f", "workspaces%2ftheirs%2F"]


def theirs_by_other_ways(path: str) -> list[str]:
    """A file below `workspaces/theirs`, from the root of the store."""
    first, rest = path.split("/", 1)
    ways = [*(f"{way}/{rest}" for way in odd(first)), *(f"{way}/{path}" for way in odd("."))]
    return [*ways, *odd(path), quote(path, safe=""), f"1%2f..%2f{path}", f"file:{path}", f"file:./{path}", f"%2f{path}"]


@pytest.fixture(scope="module")
def stack(tmp_path_factory, stack):
    with contextlib.closing(Stack(tmp_path_factory.mktemp("paths"), stack.binary)) as running:
        running.start_mlflow("--enable-workspaces")
        url = f"{running.mlflow_url}/api/3.0/mlflow/workspaces"
        requests.post(url, json={"name": "theirs"}, timeout=60).raise_for_status()
        scopes = [f"--scope=mlflow:{scope}" for scope in ("read", "write", "delete")]
        bound = {"default": ["--workspace", "default", *scopes], "theirs": ["--workspace", "theirs", *scopes]}
        for name, more in (bound | {"deleter": scopes, "administrator": ["--scope=mlflow:admin"]}).items():
            setattr(running, name, running.create_key("--user", name, "--test", *more))
        running.start_gateway(HOKUSAI__LIMITS__MODE="off")
        yield running


def files(stack) -> dict[str, str]:
    """Every file of the store, by a hash of its bytes."""
    root = stack.folder / "artifacts"
    found = (path for path in root.rglob("*") if path.is_file())
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in found}


def signed_in(stack, key, monkeypatch) -> MlflowClient:
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", key)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    mlflow.set_tracking_uri(stack.tracking_uri)
    return MlflowClient()


@pytest.fixture(scope="module")
def theirs(stack) -> str:
    """The path in the store of a file of theirs; the default workspace has one too, where it had them before there were
    workspaces."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        client = signed_in(stack, stack.theirs, monkeypatch)
        run = client.create_run(client.create_experiment("theirs"))
        client.log_text(run.info.run_id, SECRET, "secret.txt")
        old = stack.folder / "artifacts/7/run/artifacts"
        old.mkdir(parents=True)
        (old / "old.txt").write_text("old")
    (path,) = (path for path in files(stack) if path.endswith("secret.txt"))
    assert path.startswith("workspaces/theirs/")
    return path


class Asker:
    """Sends targets as they are written."""

    def __init__(self, base: str, headers: dict[str, str]) -> None:
        self.headers, url = headers, urlsplit(base)
        self.prefix, self.connection = url.path, http.client.HTTPConnection(url.netloc, timeout=60)

    def __call__(self, method: str, target: str, body: bytes | None = None) -> tuple[int, str]:
        self.connection.putrequest(method, self.prefix + target)
        length = {} if body is None else {"Content-Length": str(len(body))}
        for name, value in (self.headers | length).items():
            self.connection.putheader(name, value)
        self.connection.endheaders(body)
        with self.connection.getresponse() as response:
            return response.status, response.read().decode(errors="replace")


def with_key(stack, key) -> Asker:
    return Asker(stack.tracking_uri, {"Authorization": f"Bearer {key}"})


def refused(answer: tuple[int, str], *, unrouted: bool) -> bool:
    """By the gateway, and for its path."""
    status, body = answer
    reason = json.loads(body).get("reason")
    return (status, reason) in [(400, "bad_path")] + [(404, "route_unknown")] * unrouted


@pytest.mark.parametrize("key", ["deleter", "administrator"])
def test_no_root_can_be_changed(stack, theirs, key):
    before, ask = files(stack), with_key(stack, getattr(stack, key))
    for root in roots():
        for method, body in [("DELETE", None), ("PUT", b"mine")]:
            answer = ask(method, f"{STORE}/artifacts/{root}", body)
            assert files(stack) == before, (method, root, answer)
            # Nothing at all behind the slash is a path that the gateway does not know.
            assert refused(answer, unrouted=root == ""), (method, root, answer)
        answer = ask("POST", f"{STORE}/mpu/create/{root}", b'{"path": "a", "num_parts": 1}')
        assert refused(answer, unrouted=False), (root, answer)
    for path in [*odd("."), *NOTHING, "+", "%2e+", ""]:
        answer = ask("POST", f"/ajax-api/2.0/mlflow/upload-artifact?run_uuid=x&path={path}", b"mine")
        assert refused(answer, unrouted=False) or path == "%2e+", (path, answer)
    assert files(stack) == before


def test_a_key_of_the_default_workspace_has_what_is_its_own_and_nothing_else(stack, theirs):
    before, ask = files(stack), with_key(stack, stack.default)
    run_id = theirs.split("/")[3]
    for path in theirs_by_other_ways(theirs):
        for method, body in [("GET", None), ("PUT", b"changed"), ("DELETE", None)]:
            status, text = ask(method, f"{STORE}/artifacts/{path}", body)
            assert SECRET not in text and status in (400, 403, 404), (method, path, text)
            assert files(stack) == before, (method, path)
        for route in ("presigned", "mpu/create"):
            method = "GET" if route == "presigned" else "POST"
            status, text = ask(method, f"{STORE}/{route}/{path}", b'{"path": "a"}' if method == "POST" else None)
            assert status in (400, 403), (route, path, text)
    folders = ["workspaces", "workspaces/theirs", "./workspaces", theirs.rsplit("/", 1)[0], "workspaces/", ".", ""]
    listed = list(itertools.chain.from_iterable(odd(folder) if folder else NOTHING for folder in folders))
    for value in listed + ["+" + value for value in listed] + [quote(value) for value in listed]:
        for query in (f"path={value}", f"p%61th={value}", f"path={value}&path=7", f"Path=7&path={value}", f"x;y=&path={value}"):
            status, text = ask("GET", f"{STORE}/artifacts?{query}")
            assert status in (400, 403), (query, text)
            assert run_id not in text and "secret.txt" not in text, query
    for query in ("", "?", "?Path=7", "?path[]=7", "?page_token=x"):
        assert ask("GET", f"{STORE}/artifacts{query}")[0] in (403, 404), query
    assert files(stack) == before

    assert ask("GET", f"{STORE}/artifacts/7/run/artifacts/old.txt") == (200, "old")
    assert "old.txt" in ask("GET", f"{STORE}/artifacts?path=7/run/artifacts")[1]
    for path in ("8/run/artifacts/new.txt", "workspaces/default/0/run/artifacts/new.txt"):
        assert ask("PUT", f"{STORE}/artifacts/{path}", b"new")[0] == 200
        assert ask("GET", f"{STORE}/artifacts/{path}") == (200, "new")
        # A run's folder, as `mlflow gc` deletes it.
        assert ask("DELETE", f"{STORE}/artifacts/{path.removesuffix('/new.txt')}/")[0] == 200
        assert not (stack.folder / "artifacts" / path).exists()


def test_the_default_workspace_works_as_ever(stack, monkeypatch):
    client = signed_in(stack, stack.default, monkeypatch)
    run = client.create_run(client.create_experiment("of the default workspace"))
    client.log_text(run.info.run_id, "ours", "a b/c;d.txt")
    assert [file.path for file in client.list_artifacts(run.info.run_id, "a b")] == ["a b/c;d.txt"]
    made = client.create_logged_model(run.info.experiment_id, name="ours")
    client.log_model_artifact(made.model_id, str(Path(__file__)))
    assert [file.path for file in client.list_logged_model_artifacts(made.model_id)] == [Path(__file__).name]


def test_no_workspace_reaches_another_by_what_mlflow_takes_away(stack, theirs):
    """The one that is bound is `theirs`, and what it must not reach is the default one's."""
    before, ask = files(stack), with_key(stack, stack.theirs)
    for path in theirs_by_other_ways("7/run/artifacts/old.txt") + theirs_by_other_ways("workspaces/default/7/run/x"):
        for method, body in [("GET", None), ("DELETE", None)]:
            status, text = ask(method, f"{STORE}/artifacts/{path}", body)
            assert text != "old", (method, path)
            assert before.items() <= files(stack).items(), (method, path)
    for root in roots():
        _, text = ask("GET", f"{STORE}/artifacts?path={root}")
        assert "default" not in text.replace("`theirs`", "") and '"path": "7"' not in text, (root, text)
