"""Pages of other sites, in the browser of somebody who is logged in."""

import json
import subprocess

import pytest

# A neighbour gets the cookie along (SameSite=Lax), a stranger does not.
SITES = {"other.example.com": 403, "evil.example": 401}
ATTACK = """
<script>
window.attack = async (targets) => {
    const tried = [];
    for (const [method, url] of targets) {
        // Without a preflight only POST can be sent; the others end there.
        const request = {method, mode: method === "POST" ? "no-cors" : "cors", credentials: "include"};
        if (method === "POST") request.body = "{}";
        try { await fetch(url, request); tried.push("sent"); } catch { tried.push("blocked"); }
    }
    return tried;
};
</script>
<form method="post" action="{action}" enctype="text/plain">
<input name='{{"name":"made by a foreign form","x":"' value='"}}'><button>Win</button></form>
"""


@pytest.fixture
def changing(public):
    """Every route that changes something, as the gateway says it."""
    told = subprocess.run([public.binary, "routes", "--format", "json"], check=True, capture_output=True, env={"MLFLOW_SERVER_URL": "http://a"})
    unsafe = [row for row in json.loads(told.stdout) if row["method"] not in ("GET", "HEAD")]
    return [(row["method"], "/mlflow" + row["path"].translate(str.maketrans("", "", "{}*"))) for row in unsafe]


def experiments(place) -> set[str]:
    return {experiment.name for experiment in place.seeded.client.search_experiments()}


@pytest.mark.parametrize("site", SITES)
def test_a_foreign_page_changes_nothing_by_any_route(site, public, context, changing):
    page, before = context.new_page(), experiments(public)
    public.log_in(page, public.new_key("ada")[0])
    create = f"{public.url}/mlflow/ajax-api/2.0/mlflow/experiments/create"
    public.pages["/attack"] = ATTACK.replace("{action}", create).replace("{{", "{").replace("}}", "}")
    page.goto(f"{public.at(site)}/attack")
    answers = []
    page.on("response", lambda answer: answers.append((answer.status, answer.request.method)))
    tried = page.evaluate("targets => attack(targets)", [[method, public.url + path] for method, path in changing])
    posts = [method for method, _ in changing if method == "POST"]
    assert tried.count("sent") == len(posts) > 100
    assert {status for status, method in answers if method == "POST"} == {SITES[site]}
    # What needs a preflight ends there.
    assert {status for status, method in answers if method not in ("POST", "OPTIONS")} <= {SITES[site], 405}
    with page.expect_response(create) as answered:
        page.get_by_role("button", name="Win").click()
    assert answered.value.status == SITES[site]
    assert experiments(public) == before


@pytest.mark.parametrize("path", ["/login", "/account", "/mlflow/"])
def test_no_site_shows_the_pages_in_a_frame(path, public, context):
    page = context.new_page()
    public.log_in(page, public.new_key("ada")[0])
    public.pages["/frame"] = f'<iframe src="{public.url}{path}" width="600" height="400"></iframe>'
    page.goto(f"{public.at('other.example.com')}/frame")
    page.wait_for_load_state("networkidle")
    frame = page.frames[1]
    assert frame.url.startswith("chrome-error:") or frame.locator("body").inner_text() == "", frame.url


def test_a_notebook_of_the_same_site_shows_a_trace(public, context, pictures):
    page, seeded = context.new_page(), public.seeded
    public.log_in(page, public.new_key("ada")[0])
    renderer = "/api/mlflow/static-files/lib/notebook-trace-renderer/index.html"
    query = f"trace_id={seeded.trace_id}&experiment_id={seeded.experiment_id}&version=3.17.2"
    public.pages["/notebook"] = f'<iframe src="{public.url}{renderer}?{query}" width="1000" height="600"></iframe>'
    page.goto(f"{public.at('other.example.com')}/notebook")
    shown = page.frame_locator("iframe").get_by_text("what is in the trace").first
    shown.wait_for()
    page.screenshot(path=pictures / "notebook.png")


def test_a_notebook_elsewhere_says_that_nobody_is_logged_in(public, context):
    page = context.new_page()
    public.log_in(page, public.new_key("ada")[0])
    renderer = f"{public.url}/api/mlflow/static-files/lib/notebook-trace-renderer/index.html"
    public.pages["/notebook"] = f'<iframe src="{renderer}" width="1000" height="600"></iframe>'
    page.goto(f"{public.at('evil.example')}/notebook")
    page.frame_locator("iframe").get_by_role("link", name="Log in to MLflow").wait_for()


def test_a_neighbouring_host_sets_no_session(public, context):
    """Cookies for the whole domain go along with one's own; none of them counts, and the session goes on."""
    page, (key, _) = context.new_page(), public.new_key("ada")
    public.log_in(page, key)
    mine = [cookie["value"] for cookie in context.cookies() if cookie["name"] == "__Host-hokusai"]
    neighbour = """<script>
        for (const name of ["__Host-hokusai", "hokusai", "__host-hokusai"])
            document.cookie = `${name}=VALUE; Domain=example.com; Path=/; Secure`;
    </script>"""
    public.pages["/neighbour"] = neighbour.replace("VALUE", mine[0][:-8])
    page.goto(f"{public.at('other.example.com')}/neighbour")
    of_the_domain = {cookie["name"] for cookie in context.cookies() if cookie["domain"] == ".example.com"}
    assert "hokusai" in of_the_domain and "__Host-hokusai" not in of_the_domain
    page.goto(f"{public.url}/account")
    assert page.get_by_text("ada", exact=True).is_visible()
