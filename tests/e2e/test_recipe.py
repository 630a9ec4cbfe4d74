"""The recipe at the beginning of docs/ACCESS.md, followed to the letter."""

import contextlib
import re
import shlex
import tomllib

import mlflow
import pytest
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient
from signing_in import sign_in
from stack import ROOT, Stack
from waiting import eventually

RECIPE = (ROOT / "docs" / "ACCESS.md").read_text().partition("\n## Recipe")[2].partition("\n## ")[0]


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", RECIPE, re.DOTALL)


def arguments(user: str) -> list[str]:
    """Those with which the recipe creates the key of a user."""
    commands = [shlex.split(line) for block in blocks("sh") for line in block.splitlines() if f"keys create --user {user} " in line]
    (command,) = commands
    return command[command.index("create") + 1 :]


# What MLflow's client prints, in the order of the recipe.
REFUSALS = re.findall(r"^(?:\|.*`)?(PERMISSION_DENIED: .*?)(?:` \|)?$", RECIPE, re.MULTILINE)


@pytest.fixture
def followed(tmp_path, stack):
    with contextlib.closing(Stack(tmp_path, stack.binary)) as running:
        running.mlflow_url = stack.mlflow_url
        running.keys = {user: running.create_key("--test", *arguments(user)) for user in ("acme", "house")}
        running.keys |= {user: running.create_key("--test", "--user", user, *more) for user, more in OTHERS.items()}
        (settings,) = blocks("toml")
        policy = tomllib.loads(settings)["policy"]
        running.start_gateway(**{f"HOKUSAI__POLICY__{name.upper()}": value for name, value in policy.items()})
        yield running
        root = MlflowClient(running.mlflow_url, running.mlflow_url)
        for name in ("acme-churn", "acme-prompt"):
            with contextlib.suppress(MlflowException):
                root.delete_registered_model(name)


OTHERS = {"globex": ("--scope=mlflow:read", "--scope=mlflow:write"), "root": ("--scope=mlflow:admin",)}


@pytest.fixture
def as_user(followed, monkeypatch):
    def signed_in(user: str) -> MlflowClient:
        return sign_in(monkeypatch, followed.tracking_uri, followed.keys[user])

    return signed_in


def refused(change) -> str:
    """The words of MLflow's client."""
    with pytest.raises(MlflowException) as raised:
        change()
    return str(raised.value)


def train() -> str:
    """What acme's script does."""
    from sklearn.linear_model import LinearRegression

    mlflow.set_experiment("acme/churn")
    with mlflow.start_run() as run:
        mlflow.log_metric("loss", 0.1)
        mlflow.sklearn.log_model(
            LinearRegression().fit([[1]], [1]), name="model", registered_model_name="acme-churn", serialization_format="skops", pip_requirements=["scikit-learn"]
        )
    with mlflow.start_span("question") as span:
        span.set_inputs({"question": "why"})
    mlflow.flush_trace_async_logging()
    mlflow.genai.register_prompt("acme-prompt", "Hello {{name}}")
    assert mlflow.get_trace(span.trace_id) is not None
    return run.info.run_id


def test_the_recipe_does_what_it_says(as_user):
    acme = as_user("acme")
    run_id = train()
    experiment_id = acme.get_experiment_by_name("acme/churn").experiment_id
    assert acme.get_experiment(experiment_id).tags["hokusai.owner"] == "acme"
    assert acme.get_registered_model("acme-churn").tags["hokusai.owner"] == "acme"
    told = [
        refused(lambda: acme.create_experiment("churn")),
        refused(lambda: acme.set_registered_model_alias("acme-churn", "champion", "1")),
        refused(lambda: acme.set_experiment_tag(experiment_id, "hokusai.owner", "globex")),
    ]
    globex = as_user("globex")
    assert globex.get_run(run_id).data.metrics == {"loss": 0.1}
    told.append(refused(lambda: globex.log_metric(run_id, "loss", 0.0)))
    assert told == REFUSALS

    house = as_user("house")
    assert "belongs to acme; this API key is house's" in refused(lambda: house.set_registered_model_alias("acme-churn", "champion", "1"))
    as_user("acme")
    (sharing,) = blocks("python")
    exec(sharing, {"mlflow": mlflow})  # noqa: S102
    as_user("house").set_registered_model_alias("acme-churn", "champion", "1")
    assert "mlflow:write" in refused(lambda: house.create_model_version("acme-churn", "mlflow-artifacts:/0/models/model"))
    as_user("globex").log_metric(run_id, "loss", 0.2)

    root = as_user("root")
    root.set_registered_model_tag("acme-churn", "hokusai.owner", "globex")
    as_user("globex").set_registered_model_tag("acme-churn", "note", "moved")
    acme = as_user("acme")
    lost = refused(lambda: acme.set_registered_model_tag("acme-churn", "note", "mine"))
    assert 'the model "acme-churn" belongs to globex; this API key is acme\'s' in lost


def test_report_gives_owners_and_refuses_nothing(followed, as_user):
    """How the recipe begins."""
    for process in list(followed.processes):
        followed.halt(process)
    followed.start_gateway(HOKUSAI__POLICY__OWNERSHIP="report")
    name = "acme-churn"
    as_user("acme").create_registered_model(name)
    globex = as_user("globex")
    globex.set_registered_model_tag(name, "note", "seen")
    assert globex.get_registered_model(name).tags == {"hokusai.owner": "acme", "note": "seen"}
    log = followed.log("gateway")
    words = f'the model \\"{name}\\" belongs to acme; this API key is globex\'s'
    line = eventually(lambda: [line for line in log.read_text().splitlines() if "ownership would have denied this" in line], "the log")
    assert words in line[-1] and '"user_id":"globex"' in line[-1], line
    assert "is outside this API key's fence: acme-*" in refused(lambda: as_user("acme").create_registered_model("churn"))
