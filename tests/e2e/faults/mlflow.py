"""HG-M…: what only a real MLflow says."""

from front import to

from .place import QUICK


def an_mlflow_that_refuses_the_host(place):
    return place.probe(HOKUSAI__MLFLOW__HOST_HEADER="mlflow.example.com")


def _ready_and_logged(place, **variables: str):
    """What a running gateway says of it; its `/health` is good."""
    place.serve(**QUICK, **variables)
    return lambda: place.ready() & place.logged()


def an_mlflow_that_refuses_the_host_of_a_running_gateway(place):
    return _ready_and_logged(place, HOKUSAI__MLFLOW__HOST_HEADER="mlflow.example.com")


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


def two_mlflows_that_do_not_know_each_other(place):
    other = "location = /api/mlflow/api/2.0/mlflow/metrics/get-history { default_type application/json; return 200 '{}'; }"
    return place.doctor(place.nginx(f"{other} location / {{ {to(place.stack.url)} }}"))
