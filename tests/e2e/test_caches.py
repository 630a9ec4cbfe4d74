"""A cache before the gateway gives nobody what another's key was given."""

import re

import pytest
import requests
from front import start_nginx

# Kept for whoever asks for the same address, as nginx has it by default.
KEEP = """
proxy_pass {url}; proxy_set_header Host $http_host;
proxy_buffering on; proxy_cache answers; proxy_cache_valid any 10m; {more}
add_header X-Cache $upstream_cache_status always;
"""
CACHES = {
    "as it comes": "",
    # Such are found where somebody wanted a cache to cache: what the answer varies on holds even here.
    "that ignores what it is told": "proxy_ignore_headers Cache-Control Expires Set-Cookie;",
}


@pytest.fixture(scope="module", params=CACHES)
def cache(request, stack):
    inside = f"location / {{ {KEEP.format(url=stack.url, more=CACHES[request.param])} }}"
    port = start_nginx(stack, inside, around="proxy_cache_path {folder}/cache keys_zone=answers:1m;")
    return f"http://127.0.0.1:{port}"


@pytest.fixture(scope="module")
def paths(stack):
    """Of an artifact, of an API call and of a page's script."""
    artifact = "/api/2.0/mlflow-artifacts/artifacts/of-caches/secret.txt"
    key = {"Authorization": f"Bearer {stack.key}"}
    requests.put(stack.url + artifact, data=b"for holders of keys", headers=key, timeout=60).raise_for_status()
    page = requests.get(f"{stack.url}/mlflow/", headers=key, timeout=60).text
    script = re.search(r'static-files/static/js/main[^"]*\.js', page).group()
    return [artifact, "/api/2.0/mlflow/experiments/get-by-name?experiment_name=Default", f"/mlflow/{script}"]


@pytest.mark.parametrize("sent_as", ["Authorization", "X-API-Key"])
def test_nobody_gets_from_a_cache_what_another_key_was_given(cache, stack, paths, sent_as):
    good = {"Authorization": {"Authorization": f"Bearer {stack.key}"}, "X-API-Key": {"X-API-Key": stack.key}}[sent_as]
    strangers = [
        *({}, {"Authorization": "Bearer hk_test_nonsense"}, {"X-API-Key": "hk_test_nonsense"}),
        *({"Cookie": "session=another"}, {"Authorization": "Basic bm9ib2R5Om5vbmU="}),
    ]
    for path in paths:
        for method in ("GET", "HEAD"):
            # A stranger's refusal is nobody else's answer either. Twice, so that whatever is kept is there.
            for _ in range(2):
                assert requests.request(method, cache + path, timeout=60).status_code == 401
                assert requests.request(method, cache + path, headers=good, timeout=60).status_code == 200
            for stranger in strangers:
                answer = requests.request(method, cache + path, headers=stranger, timeout=60)
                assert answer.status_code == 401, f"{method} {path} {stranger}: {answer.headers}"


def test_one_workspace_does_not_get_the_answer_of_another(cache, stack, paths):
    """MLflow has one workspace here: what counts is whether the cache asked."""
    for workspace in ("team-a", "team-b"):
        headers = {"Authorization": f"Bearer {stack.key}", "X-MLFLOW-WORKSPACE": workspace}
        answer = requests.get(f"{cache}{paths[1]}&of=workspaces", headers=headers, timeout=60)
        assert answer.headers["X-Cache"] == "MISS", workspace
