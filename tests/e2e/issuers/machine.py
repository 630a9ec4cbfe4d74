"""A machine with a token that its platform gave to it, and MLflow's real client in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

from .site import Site

HERE = Path(__file__).parent


class Machine:
    """Its `account` is a folder as Kubernetes mounts it for a service account."""

    def __init__(self, site: Site, account: Path) -> None:
        self.site, self.account = site, account
        account.mkdir()

    def mount(self, token: str, namespace: str = "lab") -> None:
        """Writes the token, and so that no reader sees half of it, as Kubernetes does."""
        (self.account / "namespace").write_text(namespace)
        fresh = self.account / "token.new"
        fresh.write_text(token)
        fresh.replace(self.account / "token")

    def train(self, experiment: str, seconds: float = 0, **variables: str) -> subprocess.CompletedProcess:
        """Runs training.py with these variables, and with no others of MLflow's."""
        own = {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW_", "KUBE"))}
        variables |= {"MLFLOW_TRACKING_URI": self.site.gateway.tracking_uri, "KUBECONFIG": str(self.account / "none")}
        command = [sys.executable, str(HERE / "in_a_pod.py"), str(self.account), str(HERE / "training.py"), experiment, str(seconds)]
        return subprocess.run(command, env=own | variables, capture_output=True, text=True, timeout=300, check=False)
