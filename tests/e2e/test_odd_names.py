"""Files with odd names, moved by MLflow's own client directly and through the gateway: what MLflow keeps is kept."""

import contextlib
import random
from pathlib import Path

from mlflow.exceptions import MlflowException
from mlflow.store.artifact.mlflow_artifacts_repo import MlflowArtifactsRepository
from mlflow.tracking import MlflowClient
from requests import RequestException

SEED, GENERATED = 15, 300
NAMES = [
    # As clients 2.13 to 3.10 name the images that they log (mlflow/tracking/client.py, `log_image`).
    *["images%step%0%timestamp%17%abc.png", "a%2Fb%step%1%timestamp%170000000000%0d.webp"],
    *["95%ab.png", "100%.txt", "50% off.txt", "%", "%%", "%zz", "%e9t%e9.txt", "%c3%a9.txt", "%C0%AE"],
    *["tab\there.txt", "Icon\r", "line\nfeed", "\x01\x1f\x7f.bin", "back\\slash.txt", "lr=1e-3;bs=32.ckpt", ";", "a;", ";a=b", "a;;"],
    *["a?b", "a#b", "a&b=c", "a+b c", " leading", "trailing ", "at 12:00.png", "epoch:1.ckpt", "C:x", "~", "[1]", "{a}", "a|b", '"q"'],
    *["é.txt", "日本語.txt", "😀.png", "e\u0301.txt", "\u00a0", "\u2028", "...", ".hidden", "a..b", "..a", "%2e.txt", "%252e"],
]
PIECES = [*"ab.-_ %;:\\+&=@~é日😀\t\r\n\x01\x17\x1f\x7f", "%25", "%2", "%17", "%ff", "%ab", "%c3%a9", ".txt", "lr=1"]


def names() -> list[str]:
    chance = random.Random(SEED)
    generated = {"".join(chance.choices(PIECES, k=chance.randint(1, 9))) for _ in range(GENERATED)}
    return [*NAMES, *sorted(generated - {".", ".."})]


def stored(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def listed(repository, folder=None) -> set[tuple]:
    found = {(file.path, file.is_dir, file.file_size) for file in repository.list_artifacts(folder)}
    return found.union(*(listed(repository, path) for path, is_folder, _ in sorted(found) if is_folder))


def test_a_file_is_kept_under_the_name_that_mlflow_gives_it(stack, monkeypatch, tmp_path):
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", stack.key)
    # For a kept connection that MLflow closes under a request.
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "0")
    ways = {"direct": stack.mlflow_url, "through": stack.tracking_uri}
    repositories = {way: MlflowArtifactsRepository(f"mlflow-artifacts:/99/{way}", uri) for way, uri in ways.items()}
    outcomes = {"direct": {}, "through": {}}
    for number, name in enumerate(names()):
        file = tmp_path / name
        file.write_bytes(f"{number}: {name!r}".encode())
        for way, repository in repositories.items():
            try:
                # Each in a folder of its own, for some names are one to MLflow.
                repository.log_artifact(str(file), f"{number}")
            except (MlflowException, RequestException):
                outcomes[way][name] = "refused"
            else:
                outcomes[way][name] = "taken"
    assert outcomes["through"] == outcomes["direct"]
    assert sum(outcome == "taken" for outcome in outcomes["direct"].values()) > len(names()) * 0.8

    store = stack.folder / "artifacts/99"
    direct, through = (stored(store / way) for way in ways)
    assert len(direct) > len(names()) * 0.8
    assert through == direct
    for number in range(0, len(names()), 10):
        assert listed(repositories["through"], f"{number}") == listed(repositories["direct"], f"{number}")


def test_a_tag_is_deleted_by_any_key_by_which_mlflow_deletes_it(stack, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", stack.key)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    keys = ["lr=1e-3;bs=32", ";", "a b", "95%ab", "é", "a.b:c", "%17", "50%", "a\\b", "a\tb", "%2e", "a/b", "..."]
    left = {}
    for uri in (stack.mlflow_url, stack.tracking_uri):
        client = MlflowClient(uri)
        experiment_id = client.create_experiment(f"odd tags at {uri}")
        model_id = client.create_logged_model(experiment_id, name="odd", tags=dict.fromkeys(keys, "x")).model_id
        for key in keys:
            with contextlib.suppress(MlflowException):
                client.delete_logged_model_tag(model_id, key)
        left[uri] = sorted(key for key in client.get_logged_model(model_id).tags if key in keys)
    direct, through = left.values()
    assert through == direct and len(direct) < len(keys) / 2, left
