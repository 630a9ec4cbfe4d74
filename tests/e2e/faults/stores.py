"""HG-M18 to HG-M20: what MLflow keeps artifacts in, and what stands before it."""

import subprocess

import pytest
from front import to
from stack import Stack


def _small_disk(place) -> Stack:
    """An MLflow that keeps artifacts on a disk of 3 MiB, and its gateway; shared, and changed by whoever has it."""
    if "small disk" not in place.shared:
        own = Stack(place.stack.folder / "small-disk", place.stack.binary)
        own.disk = own.folder / "disk"
        own.disk.mkdir()
        mount = ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(own.disk)]
        if subprocess.run(mount, capture_output=True, check=False).returncode:
            pytest.skip("no small disk can be mounted here")
        own.key_file, own.key = place.stack.key_file, place.stack.key
        place.shared["ends"] += [own.stop, lambda: subprocess.run(["umount", "--lazy", str(own.disk)], check=True)]
        own.start_mlflow(artifacts=f"file://{own.disk}")
        own.start_gateway()
        place.shared["small disk"] = own
    return place.shared["small disk"]


def _write(place, url: str):
    return place.probe("--write", MLFLOW_SERVER_URL=url)


def _fill(place) -> Stack:
    small = _small_disk(place)
    ballast = small.disk / "ballast"
    place.ends.append(ballast.unlink)
    with ballast.open("ab", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 4096)
        except OSError:
            return small


def a_store_that_is_full(place):
    return _write(place, _fill(place).mlflow_url)


def a_full_store_seen_from_outside(place):
    return place.doctor(_fill(place).url)


def a_store_that_is_read_only(place):
    small = _small_disk(place)
    remount = lambda how: subprocess.run(["mount", "-o", f"remount,{how}", str(small.disk)], check=True)  # noqa: E731
    remount("ro")
    place.ends.append(lambda: remount("rw"))
    return _write(place, small.mlflow_url)


def a_store_that_deletes_nothing(place):
    fails = "if ($request_method = DELETE) { return 500; }"
    inside = f"location /api/2.0/mlflow-artifacts {{ {fails} {to(place.stack.mlflow_url)} }} location / {{ {to(place.stack.mlflow_url)} }}"
    # What could not be deleted.
    place.ends.append(lambda: [file.unlink() for file in (place.stack.folder / "artifacts").glob("hokusai-check-*")])
    return _write(place, place.nginx(inside))


def a_proxy_before_mlflow_that_limits_bodies(place):
    return _write(place, place.nginx(f"client_max_body_size 1m; location / {{ {to(place.stack.mlflow_url)} }}"))


def a_proxy_before_mlflow_that_limits_bodies_seen_from_outside(place):
    limited = place.nginx(f"client_max_body_size 1m; location / {{ {to(place.stack.mlflow_url)} }}")
    place.serve(MLFLOW_SERVER_URL=limited)
    return place.doctor(place.own.url)


def instances_without_a_common_secret(place):
    return place.check(HOKUSAI__LIMITS__INSTANCES="2")
