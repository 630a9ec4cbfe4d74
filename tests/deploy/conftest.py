"""What the tests of deployments share, with each other and with those of the gateway: the binary, and folders to import from."""

import os
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
for folder in ("scripts", "tests/e2e"):
    sys.path.insert(0, str(ROOT / folder))


@pytest.fixture(scope="session")
def binary():
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    return Path(os.environ.get("HOKUSAI_GATEWAY", target / "debug" / "hokusai-gateway")).absolute()
