"""Three gateways behind HAProxy are restarted one after the other, under load: nothing is lost."""

import hashlib
import os
import re
import shutil
from dataclasses import dataclass, field

import pytest
import requests
from fleet import METADATA, SETTLE_TIME, Fleet, Restart, lines, wait_for
from haproxy import CONFIG
from manifests import seconds
from traffic import Download, Metadata, Transfer, Upload

pytestmark = pytest.mark.skipif(not shutil.which("haproxy"), reason="there is no haproxy: NOT tested is a rolling restart")

MIB = 1024 * 1024


@dataclass
class Rolled:
    restarts: list[Restart] = field(default_factory=list)
    transfers: list[Transfer] = field(default_factory=list)
    metadata: list[Metadata] = field(default_factory=list)
    # The parameters that MLflow has of each client's run.
    stored: list[set[str]] = field(default_factory=list)
    # The requests for metadata that each gateway logged, before and after its restart.
    requests: dict[str, list[int]] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)


@pytest.fixture(scope="module")
def rolled(binary, tmp_path_factory):
    upload, download = os.urandom(32 * MIB), os.urandom(64 * MIB)
    with Fleet(tmp_path_factory.mktemp("rolling"), binary) as fleet:
        done = Rolled(digests={"up": hashlib.sha256(upload).hexdigest(), "down": hashlib.sha256(download).hexdigest()})
        requests.put(
            f"{fleet.haproxy.url}/api/2.0/mlflow-artifacts/artifacts/down", data=download, headers=fleet.bearer(), timeout=60
        ).raise_for_status()
        done.metadata = [Metadata(fleet.haproxy.url, fleet.key, fleet.new_run(), n % 2 == 0) for n in range(4)]
        for client in done.metadata:
            client.start()
        for name in fleet.gateways:
            transfers = fleet.transfers_at(name, upload, ("down", len(download)))
            done.transfers += transfers
            before = sum(client.answered for client in done.metadata)
            restart = fleet.restart(name, transfers)
            restart.answered = sum(client.answered for client in done.metadata) - before
            done.restarts.append(restart)
            for transfer in transfers:
                transfer.join()
        last = fleet.gateways[name]
        wait_for("the last one gets requests", lambda: lines(last, METADATA)[-1] > 10)
        for client in done.metadata:
            client.stopping.set()
            client.join()
        done.stored = [fleet.parameters(client.run_id) for client in done.metadata]
        for transfer in done.transfers:
            if isinstance(transfer, Upload):
                stored = fleet.mlflow.folder / "artifacts" / transfer.name
                content = stored.read_bytes() if stored.exists() else b""
                done.digests[transfer.name] = hashlib.sha256(content).hexdigest()
        for name, gateway in fleet.gateways.items():
            done.requests[name] = lines(gateway, METADATA)
        return done


def test_no_request_for_metadata_fails(rolled):
    assert [failure for client in rolled.metadata for failure in client.failures] == []


def test_each_parameter_that_was_logged_is_there_and_no_other(rolled):
    assert rolled.stored == [client.logged for client in rolled.metadata]


def test_no_transfer_fails(rolled):
    assert [(type(t).__name__, t.gateway, t.status, t.failures) for t in rolled.transfers if t.failures or t.status != 200] == []


def test_each_upload_arrives_whole(rolled):
    assert {rolled.digests[t.name] for t in rolled.transfers if isinstance(t, Upload)} == {rolled.digests["up"]}


def test_each_download_arrives_whole(rolled):
    assert {t.digest.hexdigest() for t in rolled.transfers if isinstance(t, Download)} == {rolled.digests["down"]}


def test_each_gateway_ends_well_and_another_process_takes_its_place(rolled):
    assert [restart.gateway for restart in rolled.restarts] == ["gateway-1", "gateway-2", "gateway-3"]
    assert all(restart.exit_code == 0 for restart in rolled.restarts)
    assert all(len(set(restart.pids)) == 2 for restart in rolled.restarts)


@pytest.mark.parametrize("moment", ["at_sigterm", "at_drain"])
def test_an_upload_and_a_download_are_under_way(rolled, moment):
    for restart in rolled.restarts:
        assert {type(transfer) for transfer in getattr(restart, moment)} == {Upload, Download}, restart.gateway


def test_metadata_goes_on_during_each_restart(rolled):
    assert all(restart.answered > 50 for restart in rolled.restarts), [restart.answered for restart in rolled.restarts]


def test_haproxy_spreads_requests_over_all_three_before_and_after(rolled):
    # How evenly is leastconn's affair, and that of who is busy.
    assert all(before and after for before, after in rolled.requests.values()), rolled.requests


def test_haproxy_has_noticed_when_a_gateway_stops_taking_requests(rolled):
    assert not any(restart.up_at_drain for restart in rolled.restarts)


def test_haproxy_notices_within_the_settle_time_at_the_worst():
    text = CONFIG.read_text()
    inter, fall = re.search(r"inter (\w+) fall (\d+)", text).groups()
    (patience,) = re.findall(r"timeout check (\w+)", text)
    assert int(fall) * (seconds(inter) + seconds(patience)) < seconds(SETTLE_TIME)
