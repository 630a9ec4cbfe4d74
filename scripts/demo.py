"""`make run` and `make demo`: the local stack for a person, with a key and the snippet to paste."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from ports import free_port
from stack import ROOT, Stack

# The usual ports of `make run` and `make demo`, and the variables that choose others.
PORTS = {"MLflow": ("MLFLOW_PORT", 5000), "the gateway": ("GATEWAY_PORT", 8001)}


def chosen_ports() -> dict[str, int]:
    """A free port for each server, with a message where it is not the usual one. Exits if a chosen port is in use."""
    ports = {}
    for who, (variable, usual) in PORTS.items():
        named = os.environ.get(variable)
        if named is not None and not (named.isascii() and named.isdigit() and 0 < int(named) < 65536):
            sys.exit(f"{variable} is not a port: a number up to 65535, or not set for {usual}")
        wanted = int(named or usual)
        ports[who] = free_port(wanted)
        if ports[who] == wanted:
            continue
        if named:
            sys.exit(f"port {wanted} is in use, and {variable} asks for it: set another {variable}, or none")
        print(f"port {wanted} is in use: {who} will listen on another one ({variable}=PORT chooses it)", file=sys.stderr)
    return ports


SNIPPET = """
The gateway is at {tracking_uri}, MLflow's UI at {url}/mlflow/ (any user name, the key as the password).
Paste this into a shell, and use MLflow as ever:

    export MLFLOW_TRACKING_URI={tracking_uri}
    export MLFLOW_TRACKING_TOKEN={key}
    {python} {example}

Logs: {gateway_log} and {mlflow_log}. Ctrl-C stops everything.
"""


def binary() -> Path:
    """What `make demo` has built."""
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    return target.absolute() / "demo" / "hokusai-gateway"


EXAMPLES = ROOT / "examples"
# The users of the demo: two third parties, whose keys have the same scopes.
DEMO_USER, OTHER_USER = "acme", "globex"


def demonstrate(stack: Stack, other_key: str) -> int:
    """Registers a model, and lets another user try to overwrite it. The exit status is 0 if that is refused."""
    for what, key, script in [
        (f"{DEMO_USER} registers a model:", stack.key, "register_model.py"),
        (f"\n{OTHER_USER}, whose key has the same scopes, registers a version of it:", other_key, "overwrite_model.py"),
    ]:
        print(what, flush=True)
        # A user name and a password in this shell would win over the token.
        others = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")}
        client = {"MLFLOW_TRACKING_URI": stack.tracking_uri, "MLFLOW_TRACKING_TOKEN": key}
        status = subprocess.run([sys.executable, EXAMPLES / script], env=others | client, check=False).returncode
        if status:
            return status
    return 0


def main(mode: str) -> int:
    ports = chosen_ports()
    if mode == "ports":
        return 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    # `run` finds its experiments again; `demo` begins afresh.
    folder = ROOT / ".local" / mode
    if mode == "demo":
        shutil.rmtree(folder, ignore_errors=True)
    (folder / "keys.toml").unlink(missing_ok=True)
    print("starting MLflow and the gateway …", flush=True)
    settings = {"HOKUSAI__POLICY__OWNERSHIP": "enforce"} if mode == "demo" else {}
    try:
        stack = Stack(folder, binary(), ports["MLflow"], ports["the gateway"], **settings)
        if mode == "demo":
            stack.user = DEMO_USER
            other_key = stack.create_key_of(OTHER_USER)
        with stack:
            print(
                SNIPPET.format(
                    tracking_uri=stack.tracking_uri,
                    url=stack.url,
                    key=stack.key,
                    python=sys.executable,
                    example=EXAMPLES / "register_model.py",
                    gateway_log=stack.log("gateway"),
                    mlflow_log=stack.log("mlflow"),
                ),
                flush=True,
            )
            if mode == "demo":
                return demonstrate(stack, other_key)
            while all(process.poll() is None for process in stack.processes):
                time.sleep(0.5)
            print(f"a process ended by itself; see {stack.folder}", file=sys.stderr)
            return 1
    except KeyboardInterrupt:
        print("\nstopped")
        return 0 if mode == "run" else 130


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] not in ("run", "demo", "ports"):
        sys.exit("usage: demo.py run|demo|ports")
    sys.exit(main(sys.argv[1]))
