"""The certified provider, and Chromium."""

import contextlib
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright
from stack import Stack

from .people import start_provider

CHROMIUM = "/usr/bin/chromium"


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
