"""Moves artifacts up and down with MLflow's client, whichever way it takes; the digests tell that they came through."""

import hashlib
import os
import tempfile
from pathlib import Path

import mlflow
from mlflow.tracking import MlflowClient

MIB = 1024 * 1024


def main() -> None:
    client = MlflowClient()
    name = f"artifacts-{os.getpid()}"
    run_id = client.create_run(client.create_experiment(name)).info.run_id
    with tempfile.TemporaryDirectory() as folder:
        files = {"small.txt": b"small", "empty": b"", "large.bin": os.urandom(12 * MIB)}
        for file, content in files.items():
            path = Path(folder, file)
            path.write_bytes(content)
            client.log_artifact(run_id, str(path), "a b")
        listed = {Path(info.path).name: info.file_size or 0 for info in client.list_artifacts(run_id, "a b")}
        assert listed == {file: len(content) for file, content in files.items()}, listed
        for file, content in files.items():
            fetched = Path(client.download_artifacts(run_id, f"a b/{file}", folder)).read_bytes()
            assert hashlib.sha256(fetched).digest() == hashlib.sha256(content).digest(), file
    with mlflow.start_run(run_id=run_id):
        assert mlflow.artifacts.load_text(f"runs:/{run_id}/a b/small.txt") == "small"


if __name__ == "__main__":
    main()
