"""An MLflow with a workspace, the certified provider, an authority, and Chromium."""

import contextlib
from pathlib import Path

import pytest
import requests
from front import Authority
from ownership.enforced import binary
from playwright.sync_api import sync_playwright
from stack import Stack

from .issuer import Issuer
from .people import start_provider
from .site import Site, machines

CHROMIUM = "/usr/bin/chromium"


@pytest.fixture(scope="package")
def mlflow(tmp_path_factory):
    """It has a key too, in `key`; each test has gateways of its own."""
    with contextlib.closing(Stack(tmp_path_factory.mktemp("issuers"), binary())) as running:
        running.start_mlflow("--enable-workspaces")
        made = requests.post(f"{running.mlflow_url}/api/3.0/mlflow/workspaces", json={"name": "lab"}, timeout=60)
        assert made.ok, made.text
        running.key = running.create_key_of("ada")
        yield running


@pytest.fixture(scope="module")
def ci():
    with Issuer() as issuer:
        yield issuer


@pytest.fixture(scope="module")
def site(request, mlflow, ci, tmp_path_factory):
    """A gateway that takes tokens of `ci` by the module's `RULES`."""
    with Site(mlflow, tmp_path_factory.mktemp("site"), machines(ci, *request.module.RULES)) as site:
        yield site


@pytest.fixture(scope="package")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority") / "authority")


@pytest.fixture(scope="package")
def provider(tmp_path_factory):
    # It is no gateway that is run here.
    with contextlib.closing(Stack(tmp_path_factory.mktemp("provider"), Path("/nowhere"))) as processes:
        yield start_provider(processes)


@pytest.fixture(scope="package")
def browser():
    with sync_playwright() as playwright, playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"]) as chromium:
        yield chromium


@pytest.fixture
def page(browser):
    with browser.new_context() as context:
        yield context.new_page()
