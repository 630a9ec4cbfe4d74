"""People log in at the certified provider, in Chromium: at a public name, by two gateways that share a secret."""

import contextlib
import os
import secrets
from pathlib import Path

import pytest
from browser.place import Public
from playwright.sync_api import expect
from stack import Stack, free_port

from .people import start_provider
from .sealed_cookie import SealedCookie

SECRET = "obviously-the-secret-of-a-test-with-single-sign-on"
COOKIE = "__Host-hokusai"
BUTTON = "Log in with Acme"
SETTINGS = """
[[auth.issuers]]
issuer = "{issuer}"
audience = "mlflow.example.com"
user = "{{email}}"
client_id = "pages"
client_secret = "obviously-the-secret-of-a-client-in-tests"
name = "Log in with Acme"
login_scopes = ["email", "groups"]
[[auth.issuers.rules]]
when = {{ groups = "scientists" }}
scopes = ["mlflow:read", "mlflow:write"]
"""
LOOKS = {
    "light": {"color_scheme": "light"},
    "dark": {"color_scheme": "dark"},
    "narrow": {"viewport": {"width": 320, "height": 640}},
}


class Place:
    """The gateways behind their balancer, and the provider, whose `url` is on another site."""

    def __init__(self, public: Public, provider) -> None:
        self.url, self.provider, self.seeded = public.url, provider, public.seeded

    def log_in(self, page, user: str, at: str) -> None:
        """As a person does, who has a link."""
        page.goto(self.url + at)
        page.get_by_role("button", name=BUTTON).click()
        page.get_by_label("User").fill(user)
        page.get_by_role("button", name="Sign in").click()
        page.get_by_role("button", name="Allow").click()


@pytest.fixture(scope="module")
def place(stack, seeded, tmp_path_factory):
    folder, port = tmp_path_factory.mktemp("sign-on"), free_port()
    address = f"https://mlflow.example.com:{port}"
    callback = [f"{address}/login/callback"]
    client = {"client_id": "pages", "client_secret": "obviously-the-secret-of-a-client-in-tests", "redirect_uris": callback}
    client |= {"grant_types": ["authorization_code", "refresh_token"], "post_logout_redirect_uris": callback}
    with contextlib.ExitStack() as running:
        provider = start_provider(running.enter_context(contextlib.closing(Stack(folder / "provider", stack.binary))), client)
        gateways = []
        for number in range(2):
            gateway = running.enter_context(contextlib.closing(Stack(folder / f"gateway-{number}", stack.binary)))
            gateway.mlflow_url, gateway.key_file = stack.mlflow_url, stack.key_file
            gateway.settings_file = gateway.folder / "gateway.toml"
            gateway.settings_file.write_text(SETTINGS.format(issuer=provider.url))
            gateway.start_gateway(HOKUSAI__SERVER__TRUSTED_PROXIES="127.0.0.1/32", HOKUSAI__AUTH__SESSION__SECRET=SECRET)
            gateways.append(gateway)
        public = Public(gateways, stack.key_file, seeded)
        public.port, public.url = port, address
        yield Place(running.enter_context(public), provider)


@pytest.fixture(scope="module")
def chromium(browser):
    arguments = ["--no-sandbox", "--host-resolver-rules=MAP mlflow.example.com 127.0.0.1"]
    with browser.browser_type.launch(executable_path="/usr/bin/chromium", args=arguments) as chromium:
        yield chromium


@pytest.fixture
def context(chromium):
    with chromium.new_context(ignore_https_errors=True, viewport={"width": 1280, "height": 800}) as context:
        yield context


@pytest.fixture
def page(context):
    page = context.new_page()
    errors: list[str] = []
    page.on("console", lambda message: errors.append(message.text) if "Content Security Policy" in message.text else None)
    yield page
    assert errors == []


def minutes_later(context) -> None:
    """The session as it will be when the issuer is to be asked again, by gateways that have not seen it."""
    sealed = SealedCookie(SECRET, COOKIE)
    cookie = next(cookie for cookie in context.cookies() if cookie["name"] == COOKIE)
    session = sealed.open(cookie["value"])
    session["checked"] -= 301
    session["id"] = secrets.token_hex(16)
    context.add_cookies([cookie | {"value": sealed.seal(session)}])


@pytest.mark.parametrize("look", LOOKS)
def test_the_login_page_has_the_button_and_fits(look, chromium, place, tmp_path_factory):
    pictures = Path(os.environ.get("HOKUSAI_PICTURES") or tmp_path_factory.mktemp("pictures"))
    pictures.mkdir(parents=True, exist_ok=True)
    with chromium.new_context(ignore_https_errors=True, **LOOKS[look]) as context:
        page = context.new_page()
        page.goto(f"{place.url}/mlflow/")
        page.keyboard.press("Tab")
        expect(page.get_by_role("button", name=BUTTON)).to_be_focused()
        page.screenshot(path=pictures / f"sign-on-{look}.png")
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_a_person_lands_on_the_shared_link_and_opens_the_run(place, page):
    seeded = place.seeded
    place.log_in(page, "ada", f"/mlflow/#/experiments/{seeded.experiment_id}/runs/{seeded.run_id}")
    expect(page.get_by_text(seeded.run_name).first).to_be_visible(timeout=60_000)
    assert page.url == f"{place.url}/mlflow/#/experiments/{seeded.experiment_id}/runs/{seeded.run_id}"
    page.goto(f"{place.url}/account")
    for text in ("ada@example.com", place.provider.url, "mlflow:read, mlflow:write"):
        expect(page.get_by_text(text, exact=True)).to_be_visible()


def test_whom_no_rule_knows_is_told_so(place, page):
    place.log_in(page, "bob", "/account")
    expect(page.get_by_role("alert")).to_contain_text("no rule of this gateway's")
    assert [cookie for cookie in page.context.cookies() if cookie["name"].startswith(COOKIE)] == []


def test_a_logout_at_the_provider_ends_the_session_when_it_is_asked_again(place, context, page):
    place.log_in(page, "ada", "/account")
    expect(page.get_by_role("heading", name="Your account")).to_be_visible()
    for _ in range(3):
        # Each with a refresh token of its own: the provider takes each once.
        minutes_later(context)
        page.goto(f"{place.url}/account")
        expect(page.get_by_role("heading", name="Your account")).to_be_visible()
    place.provider.end_sessions("ada")
    page.reload()
    expect(page.get_by_role("heading", name="Your account")).to_be_visible()
    minutes_later(context)
    page.reload()
    expect(page.get_by_role("status")).to_contain_text("Your session has ended")
    assert [cookie for cookie in context.cookies() if cookie["name"] == COOKIE] == []


def test_a_logout_here_is_one_at_the_provider_too(place, page):
    place.log_in(page, "ada", "/account")
    page.get_by_role("button", name="Log out").click()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("status")).to_contain_text("You are logged out")
    page.get_by_role("button", name=BUTTON).click()
    expect(page.get_by_label("User")).to_be_visible()
