"""What the tests of deployments share: the binary, and the folder of scripts."""

import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))

from stack import ROOT  # noqa: E402


@pytest.fixture(scope="session")
def binary():
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    return Path(os.environ.get("HOKUSAI_GATEWAY", target / "debug" / "hokusai-gateway")).absolute()
