"""MLflow's pages work, at a public name over TLS and at 127.0.0.1 over HTTP, for whoever has logged in."""

from playwright.sync_api import expect

from .network import Network


def test_a_person_logs_in_sees_everything_and_logs_out(place, context, pictures):
    seeded, page = place.seeded, context.new_page()
    network, (key, _) = Network(page), place.new_key("ada")
    page.goto(f"{place.url}/")
    place.log_in(page, key)
    expect(page.get_by_text(seeded.experiment).first).to_be_visible()

    page.goto(f"{place.url}/mlflow/#/experiments/{seeded.experiment_id}/runs")
    expect(page.get_by_text(seeded.run_name).first).to_be_visible()
    page.screenshot(path=pictures / f"runs-{page.url.split(':')[0]}.png")
    page.goto(f"{place.url}/mlflow/#/experiments/{seeded.experiment_id}/runs/{seeded.run_id}/model-metrics")
    expect(page.get_by_text("loss").first).to_be_visible()
    page.goto(f"{place.url}/mlflow/#/experiments/{seeded.experiment_id}/runs/{seeded.run_id}/artifacts")
    page.get_by_text(seeded.file).first.click()
    expect(page.get_by_text("words of a file")).to_be_visible()
    page.goto(f"{place.url}/mlflow/#/experiments/{seeded.experiment_id}/traces")
    page.get_by_text("what is in the trace").first.dispatch_event("click")
    expect(page.get_by_text("an answer of the trace").first).to_be_visible()
    page.goto(f"{place.url}/mlflow/#/models/{seeded.model}")
    expect(page.get_by_text("Version 1").first).to_be_visible()
    assert network.failed() == []

    page.goto(f"{place.url}/account")
    expect(page.get_by_text("ada", exact=True)).to_be_visible()
    page.screenshot(path=pictures / "account.png", full_page=True)
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_text("You are logged out.")).to_be_visible()
    page.go_back()
    expect(page.get_by_role("button", name="Log in")).to_be_visible()
    assert context.cookies() == []
    assert [complaint for complaint in network.complaints if "Content Security Policy" in complaint] == []


def test_a_changed_thing_is_changed(place, context):
    """MLflow refuses such a request of its own page where it is not at localhost."""
    seeded, page = place.seeded, context.new_page()
    place.log_in(page, place.new_key("ada")[0])
    answer = page.evaluate(
        """async ([run_id]) => {
            const answer = await fetch("ajax-api/2.0/mlflow/runs/set-tag", {
                method: "POST", headers: {"Content-Type": "application/json"},
                body: JSON.stringify({run_id, key: "seen", value: "by a browser"}),
            });
            return answer.status;
        }""",
        [seeded.run_id],
    )
    assert answer == 200
    assert seeded.client.get_run(seeded.run_id).data.tags["seen"] == "by a browser"


def test_a_shared_link_leads_to_its_page_after_the_login(place, context):
    page = context.new_page()
    link = f"/mlflow/#/experiments/{place.seeded.experiment_id}/runs/{place.seeded.run_id}"
    place.log_in(page, "hk_test_obviously_wrong", at=link)
    expect(page.get_by_role("alert")).to_contain_text("is not valid")
    page.get_by_label("API key").fill(place.new_key("ada")[0])
    page.keyboard.press("Enter")
    expect(page.get_by_text(place.seeded.run_name).first).to_be_visible()
    assert page.url == place.url + link


def test_the_address_that_mlflows_client_prints_opens_the_page(place, context):
    page = context.new_page()
    place.log_in(page, place.new_key("ada")[0], at="/api/mlflow")
    expect(page.get_by_text(place.seeded.experiment).first).to_be_visible()
    assert page.url.startswith(f"{place.url}/api/mlflow/")


def test_a_key_that_is_revoked_ends_an_open_page_which_does_not_loop(place, context, pictures):
    page = context.new_page()
    key, key_id = place.new_key("ada")
    place.log_in(page, key)
    expect(page.get_by_text(place.seeded.experiment).first).to_be_visible()
    place.revoke(key_id)
    page.wait_for_timeout(1000)
    call = """() => fetch("ajax-api/2.0/mlflow/experiments/get?experiment_id=0").then(answer => answer.status)"""
    # In a second; the file is read again each second.
    status = next(status for _ in range(10) if (status := page.evaluate(call)) == 401 or page.wait_for_timeout(100))
    assert status == 401
    network = Network(page)
    page.wait_for_timeout(3000)
    assert len(network.seen) < 20, network.seen
    page.reload()
    expect(page.get_by_role("status")).to_contain_text("no longer valid")
    page.screenshot(path=pictures / "revoked.png")
