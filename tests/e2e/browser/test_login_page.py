"""What people see who are not logged in yet; the pictures are for people to look at."""

import pytest
from playwright.sync_api import expect

LOOKS = {
    "light": {"color_scheme": "light"},
    "dark": {"color_scheme": "dark"},
    "narrow": {"viewport": {"width": 320, "height": 640}},
    "large-text": {"viewport": {"width": 640, "height": 400}, "device_scale_factor": 2},
}


@pytest.mark.parametrize("look", LOOKS)
def test_the_form_fits_and_says_what_is_wrong(look, browser, loopback, pictures):
    with browser.new_context(**LOOKS[look]) as context:
        page = context.new_page()
        page.goto(f"{loopback.url}/mlflow/")
        expect(page.get_by_label("API key")).to_be_focused()
        page.screenshot(path=pictures / f"login-{look}.png")
        page.keyboard.type("hk_test_obviously_wrong")
        page.keyboard.press("Tab")
        expect(page.get_by_role("button", name="Log in")).to_be_focused()
        page.keyboard.press("Enter")
        expect(page.get_by_role("alert")).to_contain_text("is not valid")
        expect(page.get_by_label("API key")).to_have_attribute("aria-invalid", "true")
        page.screenshot(path=pictures / f"wrong-key-{look}.png")
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
