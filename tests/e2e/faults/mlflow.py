"""HG-M…: MLflow."""

import threading

import requests
from front import to

from .place import NOBODY, QUICK


def a_name_of_mlflow_that_nobody_knows(place):
    return place.probe(MLFLOW_SERVER_URL=f"http://{NOBODY}:5000")


def an_mlflow_that_is_not_running(place):
    return place.probe(MLFLOW_SERVER_URL=place.closed())


def an_mlflow_that_is_gone(place):
    place.serve(MLFLOW_SERVER_URL=place.closed(), **QUICK)
    assert place.get().status_code == 502
    return lambda: place.ready() & place.logged()


def an_mlflow_that_hangs(place):
    return place.probe(MLFLOW_SERVER_URL=place.hole())


def a_balancer_without_an_mlflow(place):
    return place.probe(MLFLOW_SERVER_URL=place.nginx("return 503;"))


def an_mlflow_that_refuses_the_host(place):
    return place.probe(HOKUSAI__MLFLOW__HOST_HEADER="mlflow.example.com")


def _all_but_health(place, inside: str) -> str:
    """MLflow, and nginx's own answer to its API."""
    mlflow = f"location / {{ proxy_pass {place.stack.mlflow_url}; }}"
    return place.nginx(" ".join([mlflow, *(f"location {path} {{ {inside} }}" for path in ("/api", "/ajax-api"))]))


def _wants_a_password(place) -> str:
    (place.folder / "htpasswd").touch()
    wants = f"auth_basic MLflow; auth_basic_user_file {place.folder}/htpasswd;"
    return _all_but_health(place, f"{wants} proxy_pass {place.stack.mlflow_url};")


def an_mlflow_that_wants_a_password(place):
    return place.probe(MLFLOW_SERVER_URL=_wants_a_password(place))


def _ready_and_logged(place, **variables: str):
    """What a running gateway says of it; its `/health` is good."""
    place.serve(**QUICK, **variables)
    return lambda: place.ready() & place.logged()


def an_mlflow_that_refuses_the_host_of_a_running_gateway(place):
    return _ready_and_logged(place, HOKUSAI__MLFLOW__HOST_HEADER="mlflow.example.com")


def an_mlflow_that_wants_a_password_of_a_running_gateway(place):
    return _ready_and_logged(place, MLFLOW_SERVER_URL=_wants_a_password(place))


def a_page_in_the_place_of_mlflows_api(place):
    page = "default_type text/html; return 200 '<h1>Maintenance</h1>';"
    return _ready_and_logged(place, MLFLOW_SERVER_URL=_all_but_health(place, page))


def an_mlflow_that_redirects_a_running_gateway(place):
    redirect = "return 301 https://mlflow.example.com$request_uri;"
    return _ready_and_logged(place, MLFLOW_SERVER_URL=_all_but_health(place, redirect))


def an_mlflow_whose_database_fails(place):
    return _ready_and_logged(place, MLFLOW_SERVER_URL=_all_but_health(place, "return 500;"))


def an_mlflow_under_another_prefix(place):
    inside = f"location /mlflow/ {{ proxy_pass {place.stack.mlflow_url}/; }} location / {{ return 404; }}"
    return place.probe(MLFLOW_SERVER_URL=place.nginx(inside))


def an_mlflow_that_redirects(place):
    return place.probe(MLFLOW_SERVER_URL=place.nginx("return 301 https://mlflow.example.com$request_uri;"))


def the_gateways_own_address(place):
    return place.check(HOKUSAI__SERVER__BIND="0.0.0.0:8001", MLFLOW_SERVER_URL="http://127.0.0.1:8001")


def an_mlflow_whose_database_hangs(place):
    hangs = f"{{ proxy_pass {place.hole()}; }}"
    inside = f"location / {{ proxy_pass {place.stack.mlflow_url}; }} location /api {hangs} location /ajax-api {hangs}"
    return place.probe(MLFLOW_SERVER_URL=place.nginx(inside))


def _leads_past(place) -> str:
    """A second MLflow, whose clients go to the store themselves."""
    if "leads past" not in place.shared:
        second = type(place.stack)(place.stack.folder / "leads-past", place.stack.binary)
        place.shared["ends"].append(second.stop)
        second.start_mlflow("--no-serve-artifacts", "--default-artifact-root", str(second.folder / "store"))
        place.shared["leads past"] = second.mlflow_url
    return place.shared["leads past"]


def an_mlflow_without_artifacts(place):
    return place.probe(MLFLOW_SERVER_URL=_leads_past(place))


def an_mlflow_that_leads_past_the_gateway(place):
    place.serve(MLFLOW_SERVER_URL=_leads_past(place))
    return place.doctor(place.own.url)


def an_mlflow_that_stays_away(place):
    place.serve(MLFLOW_SERVER_URL=place.closed(), **QUICK)
    return place.logged


def an_mlflow_that_is_not_looked_at_yet(place):
    place.serve(MLFLOW_SERVER_URL=place.hole(), HOKUSAI__MLFLOW__PROBE_INTERVAL="10m")
    return place.ready


def an_mlflow_that_breaks_off(place):
    place.serve(MLFLOW_SERVER_URL=place.nginx("return 444;"))
    assert place.get().status_code == 502
    return place.logged


def more_requests_than_mlflow_takes(place):
    limits = {"HOKUSAI__MLFLOW__MAX_CONNECTIONS": "1", "HOKUSAI__MLFLOW__QUEUE_TIMEOUT": "100ms"}
    inside = f"location / {{ proxy_pass {place.stack.mlflow_url}; }} location /api {{ proxy_pass {place.hole()}; }}"
    place.serve(MLFLOW_SERVER_URL=place.nginx(inside), HOKUSAI__SERVER__WORKERS="1", **limits)

    def ask():
        try:
            place.get(timeout=5)
        except requests.RequestException:
            pass

    for _ in range(3):
        threading.Thread(target=ask, daemon=True).start()
    return place.logged


def two_mlflows_that_do_not_know_each_other(place):
    other = "location = /api/mlflow/api/2.0/mlflow/metrics/get-history { default_type application/json; return 200 '{}'; }"
    return place.doctor(place.nginx(f"{other} location / {{ {to(place.stack.url)} }}"))
