"""The audit stream on a disk that is really full, before a real MLflow: what its database and its client say decides.

The disk is a tmpfs of 1 MiB, which only root can mount; tests/api/audit_full.rs shows the same by a limit on the size of files, which
needs no rights.
"""

import json
import sqlite3
import subprocess

import pytest
import requests
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from waiting import eventually


@pytest.fixture
def disk(tmp_path):
    """A folder on a disk of 1 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"no small disk can be mounted here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


class Ballast:
    """What fills a disk."""

    def __init__(self, folder):
        self.file = folder / "ballast"

    def fill(self):
        with self.file.open("ab", buffering=0) as file:
            try:
                while True:
                    file.write(b"x" * 4096)
            except OSError:
                pass

    def remove(self):
        self.file.unlink()


def stages(stack) -> dict[str, str]:
    """Each run, and what MLflow's database says of it."""
    with sqlite3.connect(f"file:{stack.folder}/mlflow.db?mode=ro", uri=True) as database:
        return dict(database.execute("select run_uuid, lifecycle_stage from runs"))


def create_run(gateway) -> str:
    created = requests.post(f"{gateway.mlflow_url}/api/2.0/mlflow/runs/create", json={"experiment_id": "0"}, timeout=60)
    return created.json()["run"]["info"]["run_id"]


def delete_run(gateway, key, run_id):
    headers = {"Authorization": f"Bearer {key}"}
    return requests.post(f"{gateway.url}/api/2.0/mlflow/runs/delete", json={"run_id": run_id}, headers=headers, timeout=60)


def verify(gateway, file):
    told = subprocess.run(
        [gateway.binary, "audit", "verify", str(file), "--format", "json"], capture_output=True, text=True, check=False
    )
    return told.returncode, json.loads(told.stdout)


def lost_so_far(gateway) -> int:
    """The records of changes that the process knows to be lost."""
    lines = requests.get(gateway.metrics_url, timeout=60).text.splitlines()
    counts = (line.rsplit(" ", 1) for line in lines if line.startswith("hokusai_gateway_audit_records_total"))
    return sum(int(float(count)) for name, count in counts if 'outcome="ok"' not in name)


def start(gateway, disk, on_failure):
    """The process, its file, and a key."""
    file = disk / "audit.jsonl"
    key = gateway.create_key("--user", "ada", "--test", *(f"--scope={scope}" for scope in gateway.scopes))
    process = gateway.start_gateway(HOKUSAI__AUDIT__OUTPUT=str(file), HOKUSAI__AUDIT__ON_FAILURE=on_failure)
    return process, file, key


def test_a_run_deleted_on_a_full_disk_is_deleted_and_the_stream_says_that_a_record_is_missing(stack, second_gateway, disk):
    gateway = second_gateway
    process, file, key = start(gateway, disk, "open")
    runs = [create_run(gateway) for _ in range(3)]
    assert delete_run(gateway, key, runs[0]).status_code == 200
    eventually(lambda: runs[0] in file.read_text())
    ballast = Ballast(disk)
    ballast.fill()
    # What is left of the last page of the file takes some records yet.
    lost = 0
    while lost < 2:
        runs.append(create_run(gateway))
        assert delete_run(gateway, key, runs[-1]).status_code == 200
        before = lost
        eventually(lambda: runs[-1] in file.read_text() or lost_so_far(gateway) > before)
        lost += runs[-1] not in file.read_text()
    deleted = runs[:1] + runs[3:]
    assert all(stages(stack)[run] == "deleted" for run in deleted), "nobody waits for a record"
    assert file.read_text().endswith('"}\n'), "nothing half is left"
    ballast.remove()
    eventually(lambda: sum(loss["changes"] for loss in verify(gateway, file)[1]["lost"]) >= lost)
    assert delete_run(gateway, key, runs[1]).status_code == 200
    gateway.halt(process)
    code, told = verify(gateway, file)
    assert (code, told["ok"], told["faults"]) == (1, False, []), "records are missing, and nothing else is wrong"
    assert sum(loss["changes"] for loss in told["lost"]) == lost
    recorded = [json.loads(line) for line in file.read_text().splitlines()]
    recorded = {line["subject"]["run_id"] for line in recorded if line.get("outcome") == "ok"}
    assert len(recorded) + lost == len(deleted) + 1 and runs[1] in recorded


def test_where_a_record_must_be_kept_nothing_is_deleted_on_a_full_disk(stack, second_gateway, disk, monkeypatch):
    gateway = second_gateway
    process, file, key = start(gateway, disk, "closed")
    ballast = Ballast(disk)
    ballast.fill()
    outcomes = {}
    while list(outcomes.values()).count(503) < 3:
        run = create_run(gateway)
        answer = delete_run(gateway, key, run)
        outcomes[run] = answer.status_code
        assert answer.status_code in (200, 503)
        if answer.status_code == 503:
            assert answer.json()["reason"] == "audit_unavailable" and int(answer.headers["Retry-After"]) >= 1
        assert len(outcomes) < 100
    expected = {200: "deleted", 503: "active"}
    now = stages(stack)
    assert {run: now[run] for run in outcomes} == {run: expected[status] for run, status in outcomes.items()}
    begun = [json.loads(line) for line in file.read_text().splitlines()]
    begun = {line["subject"]["run_id"] for line in begun if line.get("outcome") == "begun"}
    assert begun == {run for run, status in outcomes.items() if status == 200}
    # The client retries a 503, prints no more than that (docs/TROUBLESHOOTING.md), and succeeds when there is room again.
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", key)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    client = MlflowClient(tracking_uri=gateway.tracking_uri)
    run = create_run(gateway)
    with pytest.raises(MlflowException, match="too many 503 error responses"):
        client.delete_run(run)
    assert stages(stack)[run] == "active"
    ballast.remove()
    client.delete_run(run)
    assert stages(stack)[run] == "deleted"
    gateway.halt(process)
    _, told = verify(gateway, file)
    assert told["faults"] == []
