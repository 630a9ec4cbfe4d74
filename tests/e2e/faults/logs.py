"""HG-L…: logs and telemetry."""

from .place import NOBODY


def a_name_of_the_collector_that_nobody_knows(place):
    return place.probe(HOKUSAI__TELEMETRY__OTLP_ENDPOINT=f"http://{NOBODY}:4318")


def a_collector_that_is_not_running(place):
    return place.probe(HOKUSAI__TELEMETRY__OTLP_ENDPOINT=place.closed())


def a_collector_that_takes_no_spans(place):
    place.serve(HOKUSAI__TELEMETRY__OTLP_ENDPOINT=place.nginx("return 500;"))
    assert place.get().status_code == 200
    return place.logged
