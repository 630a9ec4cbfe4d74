"""What the tests of deployments share: folders to import from, the binary, one copy of the Terraform modules, the example planned."""

import os
import shutil
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
for folder in ("scripts", "tests/e2e"):
    sys.path.insert(0, str(ROOT / folder))

from terraform import MIRROR, MODULES, OFFLINE, VARIABLES, Terraform, cli_config  # noqa: E402


@pytest.fixture(scope="session")
def binary():
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    return Path(os.environ.get("HOKUSAI_GATEWAY", target / "debug" / "hokusai-gateway")).absolute()


@pytest.fixture(scope="session")
def terraform(tmp_path_factory):
    if not shutil.which("terraform"):
        pytest.skip("NOT TESTED: there is no terraform on this machine; install Terraform 1.11 for the tests of deploy/terraform")
    folder = tmp_path_factory.mktemp("terraform")
    config = cli_config(folder)
    if config is None:
        pytest.skip(f"NOT TESTED: no AWS provider: neither TF_CLI_CONFIG_FILE names a file nor is there a mirror at {MIRROR}")
    leave_out = shutil.ignore_patterns(".terraform*", "*.tfstate*", "tfplan")
    return Terraform(Path(shutil.copytree(MODULES, folder / "modules", ignore=leave_out)), config)


@pytest.fixture(scope="session")
def example(terraform):
    """The example's folder, set so that nothing is asked of AWS."""
    folder = terraform.modules / "example"
    override = folder / "offline_override.tf"
    override.write_text(OFFLINE)
    yield folder
    override.unlink()


@pytest.fixture(scope="session")
def planned(terraform, example):
    """The example, planned without AWS."""
    return terraform.plan(example, f"-var-file={VARIABLES}")


@pytest.fixture(scope="session")
def planned_without_redis(terraform, example):
    """The same without Redis, whose secret has no ARN before it is made: here the gateway's container is known."""
    return terraform.plan(example, f"-var-file={VARIABLES}", "-var=with_redis=false")
