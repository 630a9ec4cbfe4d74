"""What the tests of deployments share with those of the gateway."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
for folder in ("scripts", "tests/e2e"):
    sys.path.insert(0, str(ROOT / folder))
