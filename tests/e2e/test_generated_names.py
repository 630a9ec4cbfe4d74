"""Thousands of odd names in every place where a name travels, written as different clients write them, asked of MLflow and
through the gateway: what MLflow keeps is kept, byte for byte."""

import json
import random
import string
from pathlib import Path
from urllib.parse import quote, unquote

import mlflow
import pytest
import requests
from mlflow.tracking import MlflowClient
from raw import Wire

SEED, NAMES = 32, 2000
VISIBLE = string.ascii_letters + string.digits + string.punctuation
PIECES = [
    *VISIBLE,
    *[*string.punctuation] * 4,
    *["\t", "\r", "\n", "\x00", "\x01", "\x17", "\x1f", "\x7f", " ", "é", "日本", "😀", "e\u0301", "\u00a0", "\u2028", "\ufffd"],
    *["%17", "%step%", "%timestamp%17", "%ab", "%c3%a9", "%25", "%2e", "%2f", "%5c", "%3b", "%00", ".", "..", "lr=1e-3;bs=32", ".ckpt", "C:", "epoch:1"],
]
# What each client leaves as it is, beside letters, digits and `-._~`; encoded is the rest.
LEFT = {
    "MLflow's client": "/",
    "requests": "!#$%&'()*+,/:;=?@[]~",
    "OkHttp": "!$&'()*+,/:;=@[]",
    "a browser": "!$%&'()*+,/:;=@[]|^",
    "curl": "!\"$%&'()*+,/:;<=>@[\\]^`{|}",
}
# The mounts, and as they come where somebody's base URL ends in a slash.
MOUNTS = ["", "/api/mlflow", "/mlflow", "/", "/api/mlflow/", "//mlflow/", "///"]
STORE = "/api/2.0/mlflow-artifacts/artifacts"
# Where a target says by which way it goes: a byte that stands in none.
WAY = b"\xff"


def names(count: int = NAMES) -> list[str]:
    """Odd ones, each once."""
    chance, found = random.Random(SEED), set()
    while len(found) < count:
        found.add("".join(chance.choices(PIECES, k=chance.randint(1, 7))))
    return sorted(found)


def written(name: str, number: int) -> bytes:
    """A name as one of the clients writes it. `#` and `?` would end the path, and a second slash has a test of its own."""
    client = list(LEFT)[number % len(LEFT)]
    return quote(name, safe=LEFT[client].replace("#", "").replace("?", "")).encode()


@pytest.fixture(scope="module")
def wires(stack):
    return Wire(stack.mlflow_url), Wire(stack.url, stack.key)


def both(wires, method: str, target: bytes, number: int, body: bytes = b"") -> list[tuple[int, bytes]]:
    """The answers of MLflow, asked directly and through one of the mounts; of a refusal that is the gateway's own only the status."""
    direct, through = wires
    answers = [direct.ask(method, target.replace(WAY, b"direct"), body)]
    answers.append(through.ask(method, MOUNTS[number % len(MOUNTS)].encode() + target.replace(WAY, b"through"), body))
    return answers


def stored(folder: Path) -> dict[bytes, bytes]:
    return {bytes(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def means_something_else(name: str) -> bool:
    """Whether it has empty or dot segments once MLflow has read it: those are refused, and MLflow's own reading of them is that
    of another name."""
    before = None
    while name != before:
        before, name = name, "".join(c for c in unquote(name) if c not in "\t\r\n")
    segments = [segment.strip("".join(map(chr, range(33)))).rstrip(";?#") for segment in name.split("/")]
    return any(segment in ("", ".", "..") for segment in segments)


def test_thousands_of_files_in_one_folder(stack, wires):
    """Put, fetched, listed and deleted by the same bytes in the request line."""
    odd = [name for name in names() if not means_something_else(name)]
    assert len(odd) > NAMES * 0.9
    store, outcomes = stack.folder / "artifacts/98", {}
    for number, name in enumerate(odd):
        target = f"{STORE}/98/".encode() + WAY + b"/" + written(name, number)
        (direct, _), (through, answer) = both(wires, "PUT", target, number, f"{number}: {name!r}".encode())
        assert direct == through, (name, target, direct, through, answer)
        outcomes[number, target] = direct
    taken = [asked for asked, status in outcomes.items() if status == 200]
    assert len(taken) > NAMES * 0.7, len(taken)
    direct, through = (stored(store / way) for way in ("direct", "through"))
    assert through == direct and len(direct) > NAMES * 0.6, len(direct)

    for number, target in taken:
        direct, through = both(wires, "GET", target, number)
        assert direct == through, (target, direct, through)

    listings = [json.loads(answer) for _, answer in both(wires, "GET", f"{STORE}?path=98/".encode() + WAY, 0)]
    assert listings[0] == listings[1] and len(listings[0]["files"]) > NAMES * 0.5
    for number, target in taken[::10]:
        listing = target.replace(f"{STORE}/".encode(), f"{STORE}?path=".encode(), 1).replace(b"&", b"%26")
        direct, through = both(wires, "GET", listing, number)
        assert direct == through, (listing, direct, through)

    for number, target in taken:
        direct, through = both(wires, "DELETE", target, number)
        assert direct == through, (target, direct, through)
    direct, through = (stored(store / way) for way in ("direct", "through"))
    assert through == direct and len(through) < len(taken) * 0.2


@pytest.mark.parametrize("name", ["a//b", "%2fa", "a%2f%2fb", ".", "a/./b", "..", "%2e%2e", ".%3b", "a/..%09/b"])
def test_what_is_another_path_to_somebody_is_refused(wires, name):
    status, answer = wires[1].ask("PUT", f"//{STORE}/98/refused/{name}".replace("///", "//").encode(), b"x")
    assert (status, json.loads(answer)["reason"]) == (400, "bad_path")


def test_hundreds_of_keys_of_tags_in_a_path(stack, wires):
    client = MlflowClient(stack.mlflow_url)
    keys = [name for name in names(300) if "\x00" not in name and not means_something_else(name)]
    experiment_id = client.create_experiment("tags of odd keys")
    tags = dict.fromkeys(keys, "x")
    left = []
    for kind in ("logged-models", "datasets"):
        for wire in wires:
            if kind == "datasets":
                body = {"name": f"odd {len(left)}", "experiment_ids": [experiment_id], "tags": json.dumps(tags)}
                made = requests.post(f"{stack.mlflow_url}/api/3.0/mlflow/datasets/create", json=body, timeout=60).json()
                of, at = made["dataset"]["dataset_id"], "/api/3.0/mlflow/datasets"
            else:
                of, at = client.create_logged_model(experiment_id, name="odd", tags=tags).model_id, "/api/2.0/mlflow/logged-models"
            for number, key in enumerate(keys):
                mount = MOUNTS[number % len(MOUNTS)] if wire is wires[1] else ""
                target = f"{mount}{at}/{of}/tags/".encode() + written(key, number)
                wire.ask("DELETE", target)
            answer = requests.get(f"{stack.mlflow_url}{at}/{of}", timeout=60).json()
            there = answer["model"]["info"].get("tags", []) if kind == "logged-models" else json.loads(answer["dataset"]["tags"])
            names_left = {tag["key"] for tag in there} if kind == "logged-models" else set(there)
            left.append(names_left & set(keys))
    for direct, through in (left[:2], left[2:]):
        assert direct == through
        assert 0 < len(direct) < len(keys) * 0.3


def test_hundreds_of_names_in_a_query(stack, wires):
    """Of experiments and of models, which are made directly and read both ways."""
    of = {
        "experiments": ("experiments/create", "experiments/get-by-name?experiment_name="),
        "models": ("registered-models/create", "registered-models/get?name="),
        "versions of": ("registered-models/create", "model-versions/search?filter=name="),
    }
    found = 0
    for number, name in enumerate(name for name in names(200) if "\x00" not in name):
        for create, read in of.values():
            requests.post(f"{stack.mlflow_url}/api/2.0/mlflow/{create}", json={"name": name}, timeout=60)
            value = written(name, number).replace(b"&", b"%26").replace(b"+", b"%2B")
            value = b"%22" + value + b"%22" if read.endswith("filter=name=") else value
            direct, through = both(wires, "GET", f"/api/2.0/mlflow/{read}".encode() + value, number)
            assert direct == through, (read, name, direct, through)
            found += direct[0] == 200
    assert found > 250, found


def test_a_run_with_images_of_older_clients_is_downloaded_as_a_whole(stack, client, monkeypatch, tmp_path):
    """Logged directly, before there was a gateway, as clients 2.13 to 3.10 name them (mlflow/tracking/client.py, `log_image`)."""
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", stack.key)
    direct = MlflowClient(stack.mlflow_url)
    run = direct.create_run(direct.create_experiment("older clients"))
    root = tmp_path / "logged"
    logged = [
        f"images/{image}%step%{step}%timestamp%{timestamp}%{letter}80f8170-3e6e-4cb5-8daf-66b938a46549{end}"
        for image in ("dog", "a b.c-d_e")
        for step in (0, 17, 1000)
        for timestamp, letter in ((1796048637654, "t"), (0, "k"))
        for end in (".png", "%compressed.webp")
    ]
    logged += ["95%ab.png", "lr=1e-3;bs=32.ckpt", "a\\b", "tab\there", "Icon\r", "50% off/100%.txt", "é/日本.txt", "images/e:1"]
    for number, name in enumerate(logged):
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(f"{number}".encode())
    direct.log_artifacts(run.info.run_id, str(root))
    trees = []
    for uri in (stack.mlflow_url, stack.tracking_uri, f"{stack.url}/", f"{stack.tracking_uri}/"):
        mlflow.set_tracking_uri(uri)
        place = tmp_path / f"from {len(trees)}"
        trees.append(stored(Path(mlflow.artifacts.download_artifacts(run_id=run.info.run_id, dst_path=str(place)))))
    assert trees[1:] == trees[:1] * 3
    assert len(trees[0]) == len(logged)
