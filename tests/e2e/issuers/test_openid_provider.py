"""The provider does what the tests here take for granted."""

import base64
import json
from urllib.parse import urlencode

from .people import AUDIENCE, CALLBACK


def claims(token: str) -> dict:
    part = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def test_a_machine_gets_a_token_for_an_audience(provider):
    said = claims(provider.machine_token("pipeline", AUDIENCE))
    assert (said["iss"], said["aud"], said["sub"], said["repository"]) == (provider.url, AUDIENCE, "pipeline", "acme/churn")


def test_a_person_gets_a_token_with_mail_and_groups(provider):
    said = claims(provider.log_in("ada", "notebook")["id_token"])
    assert (said["aud"], said["sub"], said["email"], said["groups"]) == ("notebook", "ada", "ada@example.com", ["scientists", "churn"])


def test_a_refresh_token_works_once(provider):
    first = provider.log_in("ada", "gateway")["refresh_token"]
    second = provider.refresh("gateway", first).json()["refresh_token"]
    assert provider.refresh("gateway", first).json()["error"] == "invalid_grant"
    # Somebody else may have it: all of them end.
    assert provider.refresh("gateway", second).json()["error"] == "invalid_grant"


def test_a_logout_ends_what_is_not_for_later(provider):
    now, later = provider.log_in("ada", "gateway"), provider.log_in("ada", "gateway", "openid offline_access")
    provider.end_sessions("ada")
    assert not provider.refresh("gateway", now["refresh_token"]).ok
    refreshed = provider.refresh("gateway", later["refresh_token"])
    assert refreshed.ok, refreshed.text
    provider.revoke_grants("ada")
    assert not provider.refresh("gateway", refreshed.json()["refresh_token"]).ok


def press(page, button: str) -> str:
    """Where that leads to, with which nobody answers."""
    with page.expect_request(lambda request: request.url.startswith(CALLBACK)) as called:
        page.get_by_role("button", name=button).click()
    page.wait_for_url("chrome-error://chromewebdata/")
    return called.value.url


def test_chromium_logs_in_and_out_without_anything_from_elsewhere(provider, page):
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    about = {"response_type": "code", "client_id": "gateway", "redirect_uri": CALLBACK, "scope": "openid email"}
    about |= {"code_challenge": "obviously-a-challenge-of-a-test-0123456789ab", "code_challenge_method": "S256", "state": "of-a-test"}
    page.goto(f"{provider.url}/auth?{urlencode(about)}")
    page.get_by_label("User").fill("ada")
    page.get_by_role("button", name="Sign in").click()
    called_back = press(page, "Allow")
    assert "code=" in called_back and "state=of-a-test" in called_back
    leaving = {"client_id": "gateway", "post_logout_redirect_uri": CALLBACK}
    page.goto(f"{provider.discovery()['end_session_endpoint']}?{urlencode(leaving)}")
    press(page, "Sign out")
    page.goto(f"{provider.url}/auth?{urlencode(about)}")
    page.get_by_label("User").wait_for()
    assert [url for url in asked if not url.startswith((provider.url, CALLBACK))] == []
