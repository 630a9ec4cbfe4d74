"""Images and containers without a Docker engine: buildah builds, podman runs, both as root, from Debian.

Where no registry can be reached, the images that a Dockerfile begins with are made here, from Debian's packages and the
Rust toolchain of this machine, under the names that it gives them.
"""

from __future__ import annotations

import contextlib
import functools
import os
import resource
import shutil
import subprocess
import time
from pathlib import Path

STORAGE = {"STORAGE_DRIVER": "overlay", "BUILDAH_ISOLATION": "chroot"}
# crun refuses some layouts of cgroups that runc takes.
PODMAN = ["podman", "--runtime", "runc", "--cgroup-manager", "cgroupfs"]
DEBIAN = "docker.io/library/debian:bookworm-slim"
RUST = "docker.io/library/rust:1.95-slim-bookworm"
PYTHON = "docker.io/library/python:3.11-slim-bookworm"
BUILD_SECONDS = 1800
# Toolchain, dependencies and MLflow, unpacked: bytes.
ROOM = 12 * 10**9


@functools.cache
def lacking() -> str:
    """Why no image can be built here; empty if one can."""
    missing = [program for program in ("buildah", "podman", "runc", "mmdebstrap", "rustc") if shutil.which(program) is None]
    if missing:
        return f"NOT TESTED: no {', no '.join(missing)} (Debian: apt-get install buildah podman runc mmdebstrap)"
    if os.geteuid() != 0:
        return "NOT TESTED: images are built as root here"
    if shutil.disk_usage("/var").free < ROOM:
        return f"NOT TESTED: less than {ROOM // 10**9} GB are free below /var"
    try:
        # A container's file system, without a container.
        empty = command("buildah", "from", "scratch")
        command("buildah", "mount", empty)
        command("buildah", "rm", empty)
    except RuntimeError as error:
        return f"NOT TESTED: this machine cannot mount a container's file system: {error}"
    return ""


def command(*arguments: object, seconds: float = 120) -> str:
    """What a program prints; what it complains of, if it fails."""
    words = [str(argument) for argument in arguments]
    done = subprocess.run(words, env=os.environ | STORAGE, capture_output=True, text=True, timeout=seconds, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(words[:6])} … ended with {done.returncode}:\n{done.stdout[-2000:]}{done.stderr[-4000:]}")
    return done.stdout.strip()


def has(image: str) -> bool:
    return subprocess.run([*PODMAN, "image", "exists", image], env=os.environ | STORAGE, check=False).returncode == 0


def ensure_base(image: str, folder: Path) -> None:
    """The image from its registry, or its stand-in."""
    if has(image):
        return
    with contextlib.suppress(RuntimeError, subprocess.TimeoutExpired):
        command(*PODMAN, "pull", "--quiet", image, seconds=60)
        return
    if image == DEBIAN:
        tar = folder / "debian.tar"
        command("mmdebstrap", "--variant=minbase", "--include=ca-certificates", "bookworm", tar, seconds=600)
        command(*PODMAN, "import", tar, image, seconds=300)
        return
    ensure_base(DEBIAN, folder)
    packages = {RUST: "gcc libc6-dev", PYTHON: "python3 python3-venv"}[image]
    made = command("buildah", "from", "--pull-never", DEBIAN)
    install = f"apt-get update -qq && apt-get install -y -qq --no-install-recommends {packages} && apt-get clean"
    command("buildah", "run", "--network", "host", made, "--", "sh", "-c", install, seconds=600)
    root = Path(command("buildah", "mount", made))
    # Registries may be reached through a proxy that this machine has been told to trust.
    shutil.copy("/etc/ssl/certs/ca-certificates.crt", root / "etc/ssl/certs/ca-certificates.crt")
    if image == RUST:
        toolchain = Path(command("rustc", "--print", "sysroot"))
        for part in ("bin", "lib"):
            shutil.copytree(toolchain / part, root / "usr/local/rust" / part, symlinks=True)
        command("buildah", "config", "--env", "PATH=/usr/local/rust/bin:/usr/local/bin:/usr/bin:/bin", made)
    command("buildah", "umount", made)
    command("buildah", "commit", "--rm", made, image, seconds=600)


def build(tag: str, context: Path, *arguments: str) -> str:
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    # Layers are kept between runs, and the format is the one that knows health checks.
    options = ["--pull-never", "--layers", "--format", "docker", "--network", "host", "--ulimit", f"nofile={limit}:{limit}"]
    command("buildah", "build", *options, *arguments, "--tag", tag, context, seconds=BUILD_SECONDS)
    return tag


class Container:
    """A container that runs until it is left, on the host's network, read-only and without capabilities."""

    def __init__(self, image: str, name: str, environment: dict[str, str], volumes: dict[Path, str], *arguments: str) -> None:
        self.name = name
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        options = ["--detach", "--name", name, "--network", "host", "--no-healthcheck", "--read-only", "--cap-drop", "all"]
        options += ["--security-opt", "no-new-privileges", "--ulimit", f"nofile=1024:{limit}", "--ulimit", "nproc=1024:1024"]
        options += [f"--env={variable}={value}" for variable, value in environment.items()]
        options += [f"--volume={path}:{inside}" for path, inside in volumes.items()]
        command(*PODMAN, "run", *options, image, *arguments)

    def __enter__(self) -> Container:
        return self

    def __exit__(self, *_: object) -> None:
        command(*PODMAN, "rm", "--force", "--time", "20", self.name)

    def run(self, *arguments: str) -> str:
        return command(*PODMAN, "exec", self.name, *arguments)

    def inspect(self, template: str) -> str:
        return command(*PODMAN, "inspect", "--format", template, self.name)

    def logs(self) -> str:
        done = subprocess.run([*PODMAN, "logs", self.name], env=os.environ | STORAGE, capture_output=True, text=True, check=False)
        return done.stdout + done.stderr

    def stop(self, seconds: int = 60) -> int:
        """Ends it as an orchestrator does, and tells its exit status."""
        command(*PODMAN, "stop", "--time", str(seconds), self.name, seconds=seconds + 30)
        return int(self.inspect("{{.State.ExitCode}}"))

    def wait(self, ready, seconds: float = 180) -> None:
        deadline = time.monotonic() + seconds
        while not ready():
            if time.monotonic() > deadline or self.inspect("{{.State.Running}}") != "true":
                raise RuntimeError(f"{self.name} did not become ready:\n{self.logs()[-4000:]}")
            time.sleep(0.2)
