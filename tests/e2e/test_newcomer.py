"""What somebody meets who has just cloned this: make and its scripts, what is missing, what is in the way, and README's first example."""

import os
import re
import shutil
import socket
import subprocess
from pathlib import Path

import pytest
import requests
from commands import doctor
from stack import ROOT
from waiting import eventually

MAKE = shutil.which("make")
# What scripts and recipes call, besides what is to be missing.
ORDINARY = "sh sed sort head df id grep expand dirname test touch cc env cat".split()
GOALS = ["tools", "demo", "run", "test", "test-unit", "test-e2e", "test-deploy", "release"]


class Machine:
    """A machine with a few commands, some of them older than they should be; it notes what is called."""

    def __init__(self, folder: Path) -> None:
        self.bin, self.called, self.home = folder / "bin", folder / "called", folder / "home"
        for made in (self.bin, self.home):
            made.mkdir()
        for name in ORDINARY:
            if found := shutil.which(name):
                (self.bin / name).symlink_to(found)

    def has(self, name: str, says: str, status: int = 0) -> None:
        command = self.bin / name
        command.write_text(f'#!/bin/sh\necho "{name} $*" >> {self.called}\necho "{says}"\nexit {status}\n')
        command.chmod(0o755)

    def make(self, *goals: str) -> tuple[int, str]:
        environment = {"PATH": str(self.bin), "HOME": str(self.home)}
        command = [MAKE, "-C", str(ROOT), f"VENV={self.home}/venv", *goals]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr

    def calls(self) -> list[str]:
        return self.called.read_text().splitlines() if self.called.exists() else []


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path)


WANTED = re.search(r'^rust-version = "(.*)"', (ROOT / "Cargo.toml").read_text(), re.MULTILINE)[1]


@pytest.mark.parametrize("goal", GOALS)
def test_what_is_missing_is_told_at_once_and_before_anything_is_done(machine, goal):
    code, told = machine.make(goal)
    assert code != 0
    assert f"Rust {WANTED} or later (cargo)" in told and "https://rustup.rs" in told
    assert "Python 3.11 or later (python3)" in told and "apt-get install python3" in told
    assert machine.calls() == [] and not (machine.home / "venv").exists()


@pytest.mark.parametrize(
    ("cargo", "status", "rustup", "told"),
    [
        ("cargo 1.63.0", 0, False, "this is 1.63.0, a distribution's"),
        ("cargo 1.94.1 (abc 2026-01-01)", 0, True, "rustup toolchain install"),
        ("cargo 1.9.0", 0, True, "this is 1.9.0"),
        ("error: rustup could not choose a version of cargo to run", 1, True, "rustup toolchain install"),
        (f"cargo {WANTED}.0 (abc)", 0, True, None),
        ("cargo 1.100.0-nightly (abc)", 0, True, None),
        ("cargo 2.0.0", 0, False, None),
    ],
)
def test_a_rust_that_is_too_old_is_told_with_what_makes_it_new(machine, cargo, status, rustup, told):
    machine.has("cargo", cargo, status)
    machine.has("python3", "3.11")
    if rustup:
        machine.has("rustup", "")
    code, said = machine.make("demo" if told else "tools")
    assert (code != 0, told is None or told in said) == (told is not None, True), said
    assert all(call.startswith(("cargo --version", "python3 -c")) for call in machine.calls())


@pytest.mark.parametrize(("version", "is_good"), [("3.9", False), ("3.10", False), ("3.11", True), ("3.14", True), ("4.0", True)])
def test_a_python_that_is_too_old_is_told_and_another_one_can_be_named(machine, version, is_good):
    machine.has("cargo", f"cargo {WANTED}.0")
    machine.has("python3", version)
    code, told = machine.make("tools")
    assert (code == 0) == is_good, told
    if not is_good:
        assert f"python3 is {version}" in told and "make PYTHON3=/path/to/python3.11" in told
        machine.has("another", "3.12")
        assert machine.make("tools", f"PYTHON3={machine.bin / 'another'}")[0] == 0


def test_a_cargo_that_is_not_on_the_path_is_found(machine):
    machine.has("python3", "3.11")
    (machine.home / ".cargo" / "bin").mkdir(parents=True)
    cargo = machine.home / ".cargo" / "bin" / "cargo"
    cargo.touch()
    cargo.chmod(0o755)
    code, told = machine.make("tools")
    assert code != 0 and "not on the PATH" in told and '. "$HOME/.cargo/env"' in told


def ports(**environment: str) -> subprocess.CompletedProcess:
    command = ["python3", str(ROOT / "scripts" / "demo.py"), "ports"]
    return subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, check=False)


def test_a_port_that_is_in_use_is_told_and_one_that_was_asked_for_is_an_error():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        for variable in ("GATEWAY_PORT", "MLFLOW_PORT"):
            asked = ports(**{variable: port})
            assert asked.returncode == 1 and f"port {port} is in use, and {variable} asks for it" in asked.stderr
    for wrong in ("", "x", "0", "65536", "-1"):
        asked = ports(GATEWAY_PORT=wrong)
        assert asked.returncode == 1 and "GATEWAY_PORT is not a port" in asked.stderr, wrong
    # The usual one may be taken already: then that is what is told.
    try:
        taken = socket.create_server(("127.0.0.1", 8001))
    except OSError:
        taken = None
    usual = ports()
    assert usual.returncode == 0 and "port 8001 is in use: the gateway will listen on another one" in usual.stderr
    if taken:
        taken.close()


def test_help_has_the_targets_in_the_order_in_which_they_are_used(machine):
    code, told = machine.make("help")
    names = [line.split()[0] for line in told.splitlines() if not line.startswith("make")]
    assert code == 0 and names[:6] == ["help", "tools", "demo", "run", "check", "test"] and names[-1] == "clean", told
    assert len(names) > 15 and all(len(line) > 20 for line in told.splitlines())


def test_what_the_demo_installs_is_what_the_tests_install():
    def pins(name: str) -> dict[str, str]:
        blocks = re.split(r"\n(?=\S)", (ROOT / "scripts" / name).read_text())
        pinned = (re.sub(r"\n\s*#.*", "", block) for block in blocks if "==" in block and not block.startswith("#"))
        return {block.split(" \\")[0]: block for block in pinned}

    demo, everything = pins("demo.txt"), pins("requirements.txt")
    assert 50 < len(demo) < len(everything)
    assert {pin: everything.get(pin) for pin in demo} == demo


def test_the_key_of_readmes_first_example_passes_doctor(stack):
    readme = (ROOT / "README.md").read_text()
    example = next(line for line in readme.splitlines() if "hokusai-gateway keys create" in line)
    arguments = re.search(r"keys create ([^>#)]*)", example)[1].split()
    key = stack.create_key(*arguments)
    address = f"{stack.url}/api/2.0/mlflow/experiments/search?max_results=1"
    asked = {"headers": {"Authorization": f"Bearer {key}"}, "timeout": 30}
    eventually(lambda: requests.get(address, **asked).status_code == 200)
    report = doctor(stack, stack.url, key=key)
    assert report.code == 0, report.failed()
