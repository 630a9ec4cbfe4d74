"""HG-U…: audit and usage."""

import requests
from fake_auth_service import good_for


def an_audit_stream_that_is_no_file(place):
    (place.folder / "audit").mkdir()
    place.serve(HOKUSAI__AUDIT__OUTPUT=str(place.folder / "audit"), fails="yes")
    assert place.gateway.wait(30) == 1
    return place.logged


def an_audit_file_that_cannot_be_put_aside(place):
    # No name of a file is longer, and what is put aside has a longer one.
    file = place.folder / ("a" * 255)
    place.serve(HOKUSAI__AUDIT__OUTPUT=str(file), HOKUSAI__AUDIT__MAX_SIZE="1")
    url = f"{place.own.url}/api/2.0/mlflow/experiments/create"
    for number in range(3):
        headers = {"Authorization": f"Bearer {place.stack.key}"}
        requests.post(url, json={"name": f"put aside {number}"}, headers=headers, timeout=30)
    return place.logged


def an_audit_stream_that_is_off(place):
    return place.check(HOKUSAI__AUDIT__OUTPUT="off")


def a_usage_report_that_is_refused(place):
    service = good_for("platform")
    # It knows no such call, and its answer says so.
    url = place.auth_service(lambda key, asked: service(key, asked) if "endpoint" not in asked else (404, {}))
    place.serve(HOKUSAI_AUTH_SERVICE_URL=url, HOKUSAI__AUTH__SERVICE__REPORT_USAGE="true")
    assert place.get(key="good-key").status_code == 200
    return place.logged
