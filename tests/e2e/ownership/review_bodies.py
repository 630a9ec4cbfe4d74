"""A request for each row that changes a dataset, or what people make of traces: issues, label schemas, review queues, scorers."""

import json

from .change import DELETES_NOTHING, UNCHECKED, Change, Request, ask, at, beside, inside
from .world import fresh

PASS_FAIL = {"type": "FEEDBACK", "input": {"pass_fail": {"positive_label": "Yes", "negative_label": "No"}}}


def records() -> str:
    return json.dumps([{"inputs": {"question": fresh()}}])


def dataset(request, *spends: str, **more) -> Change:
    return Change("dataset", request, spends, **more)


DATASETS = {
    "POST /api/3.0/mlflow/datasets/create": [
        inside(lambda its, my: ask(name=fresh(), experiment_ids=[its.experiment]), listed=True, but=UNCHECKED),
        Change("nowhere", lambda its, my: ask(name=fresh())),
        Change("nowhere", lambda its, my: ask(name=fresh(), experiment_ids=[])),
    ],
    "POST /api/3.0/mlflow/datasets/{dataset_id}/add-experiments": [
        dataset(
            lambda its, my: at({"dataset_id": its.spare_dataset}, experiment_ids=[my.spare_experiment]),
            *("spare_dataset", "spare_experiment"),
            with_own=True,
        ),
        beside(
            lambda its, my: at({"dataset_id": my.spare_dataset}, experiment_ids=[its.spare_experiment]),
            *("spare_dataset", "spare_experiment"),
            listed=True,
        ),
    ],
    "POST /api/3.0/mlflow/datasets/{dataset_id}/remove-experiments": [
        dataset(lambda its, my: at({"dataset_id": its.shared_dataset(my)}, experiment_ids=[my.spare_experiment]), with_own=True),
        dataset(
            lambda its, my: at({"dataset_id": its.spare_dataset}, experiment_ids=[its.experiment]),
            "spare_dataset",
            listed=True,
            leaves_nothing=True,
        ),
    ],
    "POST /api/3.0/mlflow/datasets/{dataset_id}/records": [
        dataset(lambda its, my: at({"dataset_id": its.dataset}, records=records())),
        dataset(lambda its, my: at({"dataset_id": its.shared_dataset(my)}, records=records())),
    ],
    "PATCH /api/3.0/mlflow/datasets/{dataset_id}/tags": [
        dataset(lambda its, my: at({"dataset_id": its.dataset}, tags=json.dumps({fresh(): "v"})))
    ],
    "DELETE /api/3.0/mlflow/datasets/{dataset_id}/tags/{key}": [
        dataset(lambda its, my: at({"dataset_id": its.dataset, "key": its.dataset_tag}), "dataset_tag", but=DELETES_NOTHING)
    ],
    "DELETE /api/3.0/mlflow/datasets/{dataset_id}": [
        dataset(lambda its, my: at({"dataset_id": its.spare_dataset}), "spare_dataset", but=DELETES_NOTHING)
    ],
    "DELETE /api/3.0/mlflow/datasets/{dataset_id}/records": [
        dataset(lambda its, my: at({"dataset_id": its.dataset}, dataset_record_ids=[its.record]), "record", but=DELETES_NOTHING)
    ],
}

REVIEWS = {
    "POST /api/3.0/mlflow/issues": [inside(lambda its, my: ask(experiment_id=its.experiment, name=fresh(), description="asked"))],
    "PATCH /api/3.0/mlflow/issues/{issue_id}": [
        inside(lambda its, my: at({"issue_id": its.issue}, issue_id=its.issue, name=fresh()))
    ],
    "GET /api/3.0/mlflow/label-schemas/list": [
        inside(lambda its, my: Request(params={"experiment_id": its.spare_experiment}), "spare_experiment"),
        inside(lambda its, my: ask(experiment_id=its.spare_experiment), "spare_experiment"),
    ],
    "POST /api/3.0/mlflow/label-schemas/create": [
        inside(lambda its, my: ask(experiment_id=its.experiment, name=fresh(), **PASS_FAIL))
    ],
    "PATCH /api/3.0/mlflow/label-schemas/update": [inside(lambda its, my: ask(schema_id=its.schema, instruction=fresh()))],
    "DELETE /api/3.0/mlflow/label-schemas/delete": [
        inside(lambda its, my: ask(schema_id=its.spare_schema), "spare_schema", but=DELETES_NOTHING)
    ],
    "POST /api/3.0/mlflow/review-queues/create": [
        inside(lambda its, my: ask(experiment_id=its.experiment, name=fresh(), queue_type="CUSTOM", users=["ada"]))
    ],
    "POST /api/3.0/mlflow/review-queues/get-or-create-user": [
        inside(lambda its, my: ask(experiment_id=its.experiment, user=fresh()))
    ],
    "POST /api/3.0/mlflow/review-queues/items/add": [
        inside(lambda its, my: ask(queue_id=its.queue, item_ids=[its.spare_trace], item_type="TRACE"), "spare_trace")
    ],
    "POST /api/3.0/mlflow/review-queues/items/remove": [
        inside(lambda its, my: ask(queue_id=its.queue, item_ids=[its.queue_item]), "queue_item")
    ],
    "POST /api/3.0/mlflow/review-queues/items/set-status": [
        inside(
            lambda its, my: ask(queue_id=its.queue, item_id=its.queue_item, status="COMPLETE", completed_by=fresh()), "queue_item"
        )
    ],
    "POST /api/3.0/mlflow/review-queues/update": [inside(lambda its, my: ask(queue_id=its.queue, name=fresh()))],
    "POST /api/3.0/mlflow/review-queues/delete": [
        inside(lambda its, my: ask(queue_id=its.spare_queue), "spare_queue", but=DELETES_NOTHING)
    ],
    "DELETE /api/3.0/mlflow/scorers/delete": [
        inside(lambda its, my: ask(experiment_id=its.experiment, name=its.scorer), "scorer")
    ],
}
