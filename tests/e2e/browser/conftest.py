"""Chromium, HAProxy with TLS at public names, two gateways that share a secret, and an MLflow with something of each kind."""

import os
from pathlib import Path

import pytest
from playwright.sync_api import expect, sync_playwright
from stack import Stack

from .place import Place, Public

CHROMIUM = "/usr/bin/chromium"
# A page of MLflow's takes seconds on a busy machine.
expect.set_options(timeout=30_000)
SECRET = "obviously-the-secret-of-a-test-with-browsers"


@pytest.fixture(scope="package")
def public(stack, seeded, tmp_path_factory):
    """mlflow.example.com, behind a balancer that sends each request to another gateway."""
    folder = tmp_path_factory.mktemp("public")
    gateways = []
    for number in range(2):
        gateway = Stack(folder / f"gateway-{number}", stack.binary)
        gateway.mlflow_url, gateway.key_file = stack.mlflow_url, stack.key_file
        gateway.start_gateway(
            HOKUSAI__SERVER__TRUSTED_PROXIES="127.0.0.1/32",
            HOKUSAI__AUTH__SESSION__SECRET=SECRET,
            HOKUSAI__LIMITS__INSTANCES="2",
            HOKUSAI__AUDIT__OUTPUT=str(gateway.folder / "audit.jsonl"),
        )
        gateways.append(gateway)
    with Public(gateways, stack.key_file, seeded) as place:
        yield place
    for gateway in gateways:
        gateway.stop()


@pytest.fixture(scope="package")
def loopback(stack, seeded):
    """127.0.0.1 over plain HTTP, without a balancer."""
    return Place(stack.url, stack.key_file, stack.binary, seeded)


@pytest.fixture(params=["public", "loopback"])
def place(request):
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="package")
def browser():
    with sync_playwright() as playwright:
        names = ["mlflow.example.com", "other.example.com", "evil.example"]
        rules = ", ".join(f"MAP {name} 127.0.0.1" for name in names)
        arguments = ["--no-sandbox", f"--host-resolver-rules={rules}"]
        with playwright.chromium.launch(executable_path=CHROMIUM, args=arguments) as chromium:
            yield chromium


@pytest.fixture
def context(browser):
    with browser.new_context(ignore_https_errors=True, viewport={"width": 1280, "height": 800}) as context:
        yield context


@pytest.fixture(scope="session")
def pictures(tmp_path_factory):
    """Where the pictures go that people look at: HOKUSAI_PICTURES, or a folder of the test run."""
    folder = Path(os.environ.get("HOKUSAI_PICTURES") or tmp_path_factory.mktemp("pictures"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder
