"""What somebody has at MLflow: one of each thing, made straight at the server when it is first named."""

import itertools
import json
from pathlib import Path
from urllib.parse import quote

import requests

NUMBERS = itertools.count(1)
# As MLflow writes ids, and of nothing.
NO_ID = "0" * 32
SCORER = {"mlflow_version": "3.17.2", "serialization_version": 1, "builtin_scorer_class": "Safety"}


def fresh(word: str = "k") -> str:
    """A word that was never used."""
    return f"{word}{next(NUMBERS)}"


def new_tag() -> dict:
    return {"key": fresh(), "value": "v"}


def new_trace(experiment_id: str, trace_id: str | None = None) -> dict:
    place = {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": experiment_id}}
    trace_id = trace_id or f"tr-{next(NUMBERS):032x}"
    about = {"trace_id": trace_id, "trace_location": place, "state": "OK", "tags": {fresh(): "v"}}
    return {"trace": {"trace_info": about | {"request_time": "2026-01-01T00:00:00Z"}}}


class Server:
    """MLflow itself, without a gateway."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url, self.artifacts, self.session = url, folder / "artifacts", requests.Session()

    def ask(self, call: str, **body) -> dict:
        method, path = call.split(" ")
        answer = self.session.request(method, f"{self.url}/api/{path}", json=body, timeout=60)
        assert answer.ok, f"{call} {body}: {answer.status_code} {answer.text}"
        return answer.json()


class Things:
    """What an owner has. A thing is made when it is first named; `spare_run` is another run, `deleted_run` one that was deleted."""

    def __init__(self, server: Server, owner: str | None, place: str) -> None:
        """`place` is what the names begin with: keys are fenced by that."""
        self.server, self.owner, self.place = server, owner, place

    def __getattr__(self, name: str):
        if name.startswith("_"):
            raise AttributeError(name)
        self.__dict__[name] = made = getattr(self, f"_{name.removeprefix('spare_')}")()
        return made

    def spend(self, *names: str) -> None:
        """They are gone, or are not as they were."""
        for name in names:
            self.__dict__.pop(name, None)

    def _owned(self) -> list[dict]:
        return [{"key": "hokusai.owner", "value": self.owner}] if self.owner else []

    def _name(self, separator: str) -> str:
        return fresh(f"{self.place}{separator}{self.owner or 'unowned'}")

    # Experiments, runs and logged models.

    def _experiment(self) -> str:
        return self.server.ask("POST 2.0/mlflow/experiments/create", name=self._name("/"), tags=self._owned())["experiment_id"]

    def _deleted_experiment(self) -> str:
        made = self._experiment()
        self.server.ask("POST 2.0/mlflow/experiments/delete", experiment_id=made)
        return made

    def _experiment_tag(self) -> str:
        self.server.ask("POST 2.0/mlflow/experiments/set-experiment-tag", experiment_id=self.experiment, **(tag := new_tag()))
        return tag["key"]

    def _experiment_name(self) -> str:
        """A name for an experiment: here, one that is taken."""
        at = f"GET 2.0/mlflow/experiments/get?experiment_id={self.experiment}"
        return self.server.ask(at)["experiment"]["name"]

    def _run(self) -> str:
        made = self.server.ask("POST 2.0/mlflow/runs/create", experiment_id=self.experiment, start_time=1)
        return made["run"]["info"]["run_id"]

    def _deleted_run(self) -> str:
        made = self._run()
        self.server.ask("POST 2.0/mlflow/runs/delete", run_id=made)
        return made

    def _run_tag(self) -> str:
        self.server.ask("POST 2.0/mlflow/runs/set-tag", run_id=self.run, **(tag := new_tag()))
        return tag["key"]

    def _logged_model(self) -> str:
        made = self.server.ask("POST 2.0/mlflow/logged-models", experiment_id=self.experiment, name="logged")
        return made["model"]["info"]["model_id"]

    def _deleted_logged_model(self) -> str:
        made = self._logged_model()
        self.server.ask(f"DELETE 2.0/mlflow/logged-models/{made}")
        return made

    def _logged_model_tag(self) -> str:
        at = f"PATCH 2.0/mlflow/logged-models/{self.logged_model}/tags"
        self.server.ask(at, model_id=self.logged_model, tags=[tag := new_tag()])
        return tag["key"]

    # Traces and what judges them.

    def _trace(self) -> str:
        made = self.server.ask("POST 3.0/mlflow/traces", **new_trace(self.experiment))
        return made["trace"]["trace_info"]["trace_id"]

    def _old_trace(self) -> str:
        """As MLflow 2 made it."""
        made = self.server.ask("POST 2.0/mlflow/traces", experiment_id=self.experiment, timestamp_ms=1)
        return made["trace_info"]["request_id"]

    def _trace_tag(self) -> str:
        self.server.ask(f"PATCH 3.0/mlflow/traces/{self.trace}/tags", **(tag := new_tag()))
        return tag["key"]

    def _assessment(self) -> str:
        source = {"source_type": "HUMAN", "source_id": "ada"}
        given = {"assessment_name": "good", "trace_id": self.trace, "source": source, "feedback": {"value": True}}
        made = self.server.ask(f"POST 3.0/mlflow/traces/{self.trace}/assessments", assessment=given)
        return made["assessment"]["assessment_id"]

    def _issue(self) -> str:
        made = self.server.ask("POST 3.0/mlflow/issues", experiment_id=self.experiment, name="issue", description="made")
        return made["issue"]["issue_id"]

    def _schema(self) -> str:
        kind = {"type": "FEEDBACK", "input": {"pass_fail": {"positive_label": "Yes", "negative_label": "No"}}}
        at = "POST 3.0/mlflow/label-schemas/create"
        return self.server.ask(at, experiment_id=self.experiment, name=fresh(), **kind)["label_schema"]["schema_id"]

    def _queue(self) -> str:
        at = "POST 3.0/mlflow/review-queues/create"
        made = self.server.ask(at, experiment_id=self.experiment, name=fresh(), queue_type="CUSTOM", users=["ada"])
        return made["review_queue"]["queue_id"]

    def _queue_item(self) -> str:
        added = self._trace()
        self.server.ask("POST 3.0/mlflow/review-queues/items/add", queue_id=self.queue, item_ids=[added], item_type="TRACE")
        return added

    def _scorer(self) -> str:
        name = fresh("scorer")
        text = json.dumps(SCORER | {"name": name, "builtin_scorer_pydantic_data": {"name": name}})
        self.server.ask("POST 3.0/mlflow/scorers/register", experiment_id=self.experiment, name=name, serialized_scorer=text)
        return name

    # Datasets.

    def _dataset(self, *more: str) -> str:
        at, ids = "POST 3.0/mlflow/datasets/create", list({self.experiment, *more})
        return self.server.ask(at, name=fresh(), experiment_ids=ids)["dataset"]["dataset_id"]

    def shared_dataset(self, others: "Things") -> str:
        """In an experiment of each."""
        return self._dataset(others.spare_experiment)

    def _dataset_tag(self) -> str:
        self.server.ask(f"PATCH 3.0/mlflow/datasets/{self.dataset}/tags", tags=json.dumps({(key := fresh()): "v"}))
        return key

    def _record(self) -> str:
        at = f"3.0/mlflow/datasets/{self.dataset}/records"
        self.server.ask(f"POST {at}", records=json.dumps([{"inputs": {"question": (question := fresh())}}]))
        records = json.loads(self.server.ask(f"GET {at}")["records"])
        return next(record["dataset_record_id"] for record in records if record["inputs"]["question"] == question)

    # The registry.

    def _model(self, *tags: dict) -> str:
        name = self._name("-")
        self.server.ask("POST 2.0/mlflow/registered-models/create", name=name, tags=[*self._owned(), *tags])
        return name

    def _prompt(self) -> str:
        return self._model({"key": "mlflow.prompt.is_prompt", "value": "true"})

    def _model_name(self) -> str:
        """A name for a model: here, one that is taken."""
        return self.model

    def _model_tag(self) -> str:
        self.server.ask("POST 2.0/mlflow/registered-models/set-tag", name=self.model, **(tag := new_tag()))
        return tag["key"]

    def _version(self) -> str:
        source = {"source": f"runs:/{self.run}/model", "run_id": self.run}
        made = self.server.ask("POST 2.0/mlflow/model-versions/create", name=self.model, **source)
        return made["model_version"]["version"]

    def _version_tag(self) -> str:
        self.server.ask("POST 2.0/mlflow/model-versions/set-tag", name=self.model, version=self.version, **(tag := new_tag()))
        return tag["key"]

    def _alias(self) -> str:
        self.server.ask("POST 2.0/mlflow/registered-models/alias", name=self.model, alias=(alias := fresh()), version=self.version)
        return alias

    def _mcp_server(self) -> str:
        return self.server.ask("POST 3.0/mlflow/mcp-servers", name=fresh("io.example/server"))["name"]

    def _skill(self, organization: str = "") -> str:
        name, place = fresh("skill"), f"@{organization}/" if organization else ""
        self.server.ask("POST 3.0/mlflow/skills", name=name, organization=organization)
        source = {"source_type": "git", "source": "https://example.com/skill.git", "ref": "main"}
        # Only a draft can be deleted at once.
        self.server.ask(f"POST 3.0/mlflow/skills/{place}{name}/versions", **source, status="draft")
        return name

    def _acme_skill(self) -> str:
        """Of an organization."""
        return self._skill("acme")

    # Artifacts: where they are, and one that is there.

    def _folders(self) -> dict[str, str]:
        at = self.experiment
        return {
            "experiment": at,
            "run": f"{at}/{self.run}/artifacts",
            "logged_model": f"{at}/models/{self.logged_model}/artifacts",
            "trace": f"{at}/traces/{self.trace}/artifacts",
        }

    def file(self, of: str) -> str:
        path = f"{self.folders[of]}/{fresh('file')}.txt"
        self.server.artifacts.joinpath(path).parent.mkdir(parents=True, exist_ok=True)
        self.server.artifacts.joinpath(path).write_text("made")
        return path


class Nothing(Things):
    """Names of things that MLflow does not have."""

    IDS = {
        "run": NO_ID,
        "logged_model": f"m-{NO_ID}",
        "assessment": f"a-{NO_ID}",
        "dataset": f"d-{NO_ID}",
        "experiment": "999999",
        "folders": dict.fromkeys(["experiment", "run", "logged_model", "trace"], f"999999/{NO_ID}/artifacts"),
    }
    NAMES = {
        "model": "{}-missing",
        "prompt": "{}-missing",
        "experiment_name": "{}/missing",
        "model_name": "{}-missing",
        "mcp_server": "io.example/missing",
        "skill": "missing",
        "acme_skill": "missing",
    }

    def __getattr__(self, name: str):
        if name.startswith("_"):
            raise AttributeError(name)
        kind = name.removeprefix("spare_").removeprefix("deleted_")
        if kind in self.NAMES:
            made = fresh(self.NAMES[kind].format(self.place))
        else:
            # A trace is made where there is none of the id.
            made = f"tr-f{next(NUMBERS):031x}" if kind.endswith("trace") else self.IDS.get(kind, "1")
        self.__dict__[name] = made
        return made

    def shared_dataset(self, _others: Things) -> str:
        return self.dataset

    def file(self, of: str) -> str:
        return f"{self.folders[of]}/{fresh('file')}.txt"


def filled(path: str, names: dict[str, str]) -> str:
    """A row's path with its names; what `{*name}` stands for may have slashes."""
    for name, value in names.items():
        path = path.replace(f"{{{name}}}", quote(value, safe="")).replace(f"{{*{name}}}", quote(value))
    return path
