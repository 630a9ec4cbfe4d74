"""Terraform as a command, offline, with the provider from a filesystem mirror."""

import json
import os
import subprocess
from pathlib import Path

from plan import Plan

ROOT = Path(__file__).resolve().parents[2]
MODULES = ROOT / "deploy" / "terraform"
VARIABLES = Path(__file__).with_name("example.tfvars.json")
# A filesystem mirror, where there is one.
MIRROR = Path("/opt/tf-plugins")

# Keys that are none; nothing is asked of AWS.
OFFLINE = """
provider "aws" {
  access_key                  = "test"
  secret_key                  = "test"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_requesting_account_id  = true
}
"""


class Terraform:
    def __init__(self, modules: Path, config: str | None) -> None:
        self.modules = modules
        # Nothing of the person's own: credentials, variables, arguments.
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "TF_"))}
        self.environment |= {"CHECKPOINT_DISABLE": "1", "TF_IN_AUTOMATION": "1", "AWS_EC2_METADATA_DISABLED": "true"}
        if config:
            self.environment["TF_CLI_CONFIG_FILE"] = config
        self.ready: set[Path] = set()

    def run(self, folder: Path, *arguments: str, good: tuple[int, ...] = (0,)) -> str:
        """What it prints; its errors, if it fails."""
        command = ["terraform", f"-chdir={folder}", *arguments]
        done = subprocess.run(command, env=self.environment, text=True, capture_output=True, timeout=300, check=False)
        assert done.returncode in good, f"terraform {' '.join(arguments)} in {folder.name}:\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def init(self, folder: Path) -> None:
        """Once for each folder."""
        if folder not in self.ready:
            self.run(folder, "init", "-backend=false", "-input=false", "-no-color")
            self.ready.add(folder)

    def plan(self, folder: Path, *arguments: str) -> Plan:
        self.init(folder)
        self.run(folder, "plan", "-input=false", "-no-color", "-lock=false", "-out=tfplan", *arguments)
        return Plan(json.loads(self.run(folder, "show", "-json", "tfplan")))


def cli_config(folder: Path) -> str | None:
    """The file that says where providers come from: the person's own, or one for the mirror."""
    own = os.environ.get("TF_CLI_CONFIG_FILE")
    if own and Path(own).is_file():
        return own
    if not MIRROR.is_dir():
        return None
    file = folder / "terraform.rc"
    file.write_text(f'provider_installation {{\n  filesystem_mirror {{ path = "{MIRROR}" }}\n}}\n')
    return str(file)
