"""A request for each row that changes the registry or the artifact store."""

from .change import CHANGES, DELETES_NOTHING, NEVER, REFUSES, UNCHECKED, Change, Request, ask, at, inside, of
from .world import Things, fresh, new_tag


def model(request, *spends: str, **more) -> Change:
    return Change("model", request, spends, **more)


def nobodys(request, *spends: str, **more) -> Change:
    return Change("nobody's", request, spends, **more)


MODELS = {
    "POST /api/2.0/mlflow/registered-models/create": [
        Change("model_name", lambda its, my: ask(name=its.model_name), ("model_name",)),
    ],
    "PATCH /api/2.0/mlflow/registered-models/update": [model(lambda its, my: ask(name=its.model, description=fresh()))],
    "DELETE /api/2.0/mlflow/registered-models/delete": [model(lambda its, my: ask(name=its.spare_model), "spare_model")],
    "POST /api/2.0/mlflow/registered-models/rename": [
        model(lambda its, my: ask(name=its.spare_model, new_name=fresh("in-")), "spare_model", with_own=True),
        of(
            "model_name",
            lambda its, my: ask(name=my.spare_model, new_name=its.model_name),
            *("spare_model", "model_name"),
            with_own=True,
        ),
    ],
    "POST /api/2.0/mlflow/registered-models/set-tag": [
        model(lambda its, my: ask(name=its.model, **new_tag())),
        model(lambda its, my: ask(name=its.prompt, **new_tag())),
    ],
    "DELETE /api/2.0/mlflow/registered-models/delete-tag": [
        model(lambda its, my: ask(name=its.model, key=its.model_tag), "model_tag")
    ],
    "POST /api/2.0/mlflow/registered-models/alias": [
        model(lambda its, my: ask(name=its.model, alias=fresh(), version=its.version))
    ],
    "DELETE /api/2.0/mlflow/registered-models/alias": [model(lambda its, my: ask(name=its.model, alias=its.alias), "alias")],
    "POST /api/2.0/mlflow/model-versions/create": [
        model(lambda its, my: ask(name=its.model, source=f"runs:/{my.run}/model", run_id=my.run))
    ],
    "PATCH /api/2.0/mlflow/model-versions/update": [
        model(lambda its, my: ask(name=its.model, version=its.version, description=fresh()))
    ],
    "DELETE /api/2.0/mlflow/model-versions/delete": [
        model(lambda its, my: ask(name=its.model, version=its.spare_version), "spare_version")
    ],
    "POST /api/2.0/mlflow/model-versions/transition-stage": [
        model(lambda its, my: ask(name=its.model, version=its.version, stage="Staging", archive_existing_versions=False))
    ],
    "POST /api/2.0/mlflow/model-versions/set-tag": [
        model(lambda its, my: ask(name=its.model, version=its.version, **new_tag()))
    ],
    "DELETE /api/2.0/mlflow/model-versions/delete-tag": [
        model(lambda its, my: ask(name=its.model, version=its.version, key=its.version_tag), "version_tag")
    ],
}

# Of the registry of MCP servers, where names are free to be taken.
TAKEN = {"unowned": REFUSES, "missing": CHANGES}

MCP_SERVERS = {
    "POST /api/3.0/mlflow/mcp-servers": [nobodys(lambda its, my: ask(name=its.mcp_server), "mcp_server", but=TAKEN)],
    "PATCH /api/3.0/mlflow/mcp-servers/{*rest}": [nobodys(lambda its, my: at({"rest": its.mcp_server}, description=fresh()))],
    "POST /api/3.0/mlflow/mcp-servers/{*rest}": [nobodys(lambda its, my: at({"rest": f"{its.mcp_server}/tags"}, **new_tag()))],
    "DELETE /api/3.0/mlflow/mcp-servers/{*rest}": [
        nobodys(lambda its, my: at({"rest": its.spare_mcp_server}), "spare_mcp_server")
    ],
}

RUN_OR_MODEL = ("run", "logged_model")
FOLDERS = (*RUN_OR_MODEL, "experiment", "trace")


def put(folder: str) -> Change:
    def request(its: Things, my: Things) -> Request:
        return Request({"artifact_path": f"{its.folders[folder]}/{fresh('file')}.txt"}, data=b"asked")

    return of("artifact", request, but=UNCHECKED)


def remove(folder: str) -> Change:
    return of("artifact", lambda its, my: Request({"artifact_path": its.file(folder)}), but=DELETES_NOTHING)


def upload(parameter: str, **more) -> Change:
    return inside(lambda its, my: Request(params={parameter: its.run, "path": f"{fresh()}.txt"}, data=b"asked"), **more)


def in_parts(word: str, **body) -> dict[str, list[Change]]:
    """The store is a folder, which takes files in one piece."""

    def change(folder: str) -> Change:
        return of("artifact", lambda its, my: at({"artifact_path": its.folders[folder]}, path="big.bin", **body), but=NEVER)

    return {f"POST /api/2.0/mlflow-artifacts/mpu/{word}/{{*artifact_path}}": [change(folder) for folder in RUN_OR_MODEL]}


ARTIFACTS = {
    "PUT /api/2.0/mlflow-artifacts/artifacts/{*artifact_path}": [put(folder) for folder in FOLDERS],
    "DELETE /api/2.0/mlflow-artifacts/artifacts/{*artifact_path}": [remove(folder) for folder in FOLDERS],
    **in_parts("create", num_parts=1),
    **in_parts("complete", upload_id="1", parts=[{"part_number": 1, "etag": "1"}]),
    **in_parts("abort", upload_id="1"),
    "POST /api/2.0/mlflow/artifacts/presigned-upload-url": [
        # Only for stores that clients reach by themselves.
        inside(lambda its, my: ask(run_id=its.run, path="a.txt"), but=NEVER),
        inside(lambda its, my: ask(model_id=its.logged_model, path="a.txt"), but=NEVER),
    ],
    "POST /ajax-api/2.0/mlflow/upload-artifact": [
        upload("run_uuid"),
        # MLflow reads it since 3.18.
        upload("run_id", but={f"{whose} 3.17.2": REFUSES for whose in ("own", "other", "unowned")}),
    ],
}
