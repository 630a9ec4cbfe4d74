"""What was measured on, and with what."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from pathlib import Path

from .testbed import ROOT, gateway_binary

# What each program says of itself.
VERSIONS = {
    "gateway": [gateway_binary(), "--version"],
    "nginx": ["nginx", "-v"],
    "HAProxy": ["haproxy", "-v"],
    "Caddy": ["caddy", "version"],
    "wrk": ["wrk", "-v"],
    "h2load": ["h2load", "--version"],
    "curl": ["curl", "--version"],
    "MLflow": [ROOT / ".venv/bin/mlflow", "--version"],
    "Rust": ["rustc", "--version"],
}
PACKAGES = ("fastapi", "httpx", "uvicorn", "uvloop")


def describe() -> dict[str, object]:
    return {
        "cpu": _first(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text()),
        "cores": len(os.sched_getaffinity(0)),
        "virtual": "hypervisor" in Path("/proc/cpuinfo").read_text(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "kernel": f"{platform.system()} {platform.release()}",
        "system": _first(r'PRETTY_NAME="(.+)"', Path("/etc/os-release").read_text()),
        "load_average": os.getloadavg()[0],
        "commit": commit(gateway_binary()),
        "versions": {name: _version(command) for name, command in VERSIONS.items()} | _python_packages(),
    }


def commit(gateway: Path) -> str:
    return _first(r"\((\w+)\)", _said([gateway, "--version"]))


def _version(command: list[object]) -> str:
    return _first(r"(\d+\.\d+(?:\.\d+)?)", _said(command))


def _python_packages() -> dict[str, str]:
    asked = "from importlib.metadata import version as v; print(*map(v, %r))" % (PACKAGES,)
    told = _said([ROOT / ".venv/bench/bin/python", "-c", asked]).split()
    return dict(zip(PACKAGES, told, strict=False))


def _said(command: list[object]) -> str:
    try:
        done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=60, check=False)
    except OSError:
        return ""
    return (done.stdout + done.stderr).strip()


def _first(pattern: str, text: str) -> str:
    found = re.search(pattern, text)
    return found.group(1).strip() if found else "unknown"
