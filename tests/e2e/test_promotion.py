"""Promotion apart from registering: what is in use is read from MLflow itself, past the gateway."""

import contextlib
import itertools
import json

import mlflow
import pytest
import requests
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient
from raw import Wire
from signing_in import sign_in
from stack import Stack

SEPARATE = {"HOKUSAI__POLICY__PROMOTION": "separate", "HOKUSAI__LIMITS__MODE": "off"}
# A third party registers, and may delete what it registered; the house promotes.
KEYS = {
    "acme": ("read", "write", "delete"),
    "house": ("read", "promote"),
    "acme-promoter": ("read", "promote"),
    "deployer": ("read", "registry_write"),
    "root": ("admin",),
}


def start(folder, stack, **settings: str) -> Stack:
    """Another gateway before the same MLflow, with a key for each user."""
    running = Stack(folder, stack.binary)
    running.mlflow_url = stack.mlflow_url
    running.keys = {
        name: running.create_key("--user", name.split("-")[0], "--test", *(f"--scope=mlflow:{scope}" for scope in scopes))
        for name, scopes in KEYS.items()
    }
    running.start_gateway(**settings)
    return running


@pytest.fixture(scope="module")
def separate(tmp_path_factory, stack):
    with contextlib.closing(start(tmp_path_factory.mktemp("separate"), stack, **SEPARATE)) as running:
        yield running


@pytest.fixture
def as_user(monkeypatch):
    """MLflow's client with the key of a user."""

    def signed_in(running: Stack, name: str) -> MlflowClient:
        return sign_in(monkeypatch, running.tracking_uri, running.keys[name])

    return signed_in


names = (f"promoted-{number}" for number in itertools.count())


def at_mlflow(running: Stack, method: str, path: str, about: dict) -> dict:
    """The answer of MLflow itself, past the gateway."""
    ways = {"params": about} if method == "GET" else {"json": about}
    answer = requests.request(method, f"{running.mlflow_url}/api/2.0/mlflow/{path}", **ways, timeout=60)
    answer.raise_for_status()
    return answer.json()


def register(client: MlflowClient) -> str:
    """A new model with two versions."""
    name = next(names)
    client.create_registered_model(name)
    for _ in range(2):
        client.create_model_version(name, "s3://bucket/model")
    return name


def in_use(running: Stack, name: str) -> tuple:
    """Aliases and stages of a model."""
    model = at_mlflow(running, "GET", "registered-models/get", {"name": name})["registered_model"]
    aliases = {alias["alias"]: alias["version"] for alias in model.get("aliases", [])}
    found = at_mlflow(running, "GET", "model-versions/search", {"filter": f"name='{name}'"})
    return aliases, {version["version"]: version["current_stage"] for version in found.get("model_versions", [])}


def promote_at_mlflow(running: Stack, name: str) -> tuple:
    at_mlflow(running, "POST", "registered-models/alias", {"name": name, "alias": "champion", "version": "1"})
    at_mlflow(running, "POST", "model-versions/transition-stage", {"name": name, "version": "1", "stage": "Production"})
    return in_use(running, name)


# Everything by which MLflow's client promotes.
CHANGES = {
    "set an alias": lambda client, name: client.set_registered_model_alias(name, "champion", "2"),
    "delete an alias": lambda client, name: client.delete_registered_model_alias(name, "champion"),
    "set a stage": lambda client, name: client.transition_model_version_stage(name, "2", "Production", archive_existing_versions=True),
    "rename": lambda client, name: client.rename_registered_model(name, f"{name}-renamed"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_who_registers_does_not_promote(separate, as_user, change):
    client = as_user(separate, "acme")
    name = register(client)
    before = promote_at_mlflow(separate, name)
    with pytest.raises(MlflowException, match="it needs the scope mlflow:promote or mlflow:admin, and has mlflow:read, mlflow:write"):
        CHANGES[change](client, name)
    assert in_use(separate, name) == before == ({"champion": "1"}, {"1": "Production", "2": "None"})


def test_who_registers_prompts_does_not_promote_them(separate, as_user):
    as_user(separate, "acme")
    name = next(names)
    for text in ("one", "two"):
        mlflow.genai.register_prompt(name, text)
    with pytest.raises(MlflowException, match="it needs the scope mlflow:promote"):
        mlflow.genai.set_prompt_alias(name, "champion", 2)
    assert in_use(separate, name)[0] == {}
    as_user(separate, "house")
    mlflow.genai.set_prompt_alias(name, "champion", 2)
    assert in_use(separate, name)[0] == {"champion": "2"}


MOUNTS = (b"", b"/api/mlflow", b"/mlflow")
SPELLINGS = (
    b"/api/2.0/mlflow/%s",
    b"/ajax-api/2.0/mlflow/%s",
    b"/api//2.0/mlflow/%s",
    b"//api/2.0/mlflow/%s",
    b"/api/2.0/mlflow/%s/",
    b"/api/2.0/mlflow/%s?a=b",
    b"/api/2.0/mlflow/%s;a",
    b"/api/2.0/mlflow/runs/../%s",
    b"/api/2.0/mlflow/./%s",
    b"/api/2.0/preview/mlflow/%s",
    b"/api/3.0/mlflow/%s",
)
PATHS = (b"registered-models/alias", b"registered-models/%61lias", b"registered-models/%2561lias", b"registered-models%2Falias", b"registered-models/Alias", b"registered-models/alias%20")


def test_no_spelling_of_a_request_promotes(separate, as_user):
    name = register(as_user(separate, "acme"))
    before = promote_at_mlflow(separate, name)
    wire = Wire(separate.url, separate.keys["acme"])
    about = {"name": name, "alias": "champion", "version": "2"}
    bodies = [json.dumps(body).encode() for body in (about, json.dumps(about), {"name": name, "alias": "champion"})]
    told = set()
    for mount, spelling, path in itertools.product(MOUNTS, SPELLINGS, PATHS):
        for method, body in itertools.product(("POST", "DELETE", "PATCH", "PUT"), bodies):
            told.add(wire.ask(method, mount + spelling % path, body)[0])
    stage = json.dumps({"name": name, "version": "2", "stage": "production", "archive_existing_versions": True}).encode()
    for mount, spelling in itertools.product(MOUNTS, SPELLINGS):
        told.add(wire.ask("POST", mount + spelling % b"model-versions/transition-stage", stage)[0])
    assert told <= {400, 403, 404, 405} and 403 in told, told
    assert in_use(separate, name) == before


def test_no_field_of_another_request_promotes(separate, as_user):
    name = register(as_user(separate, "acme"))
    before = promote_at_mlflow(separate, name)
    headers = {"Authorization": f"Bearer {separate.keys['acme']}"}
    more = {"stage": "Production", "current_stage": "Production", "alias": "champion"}
    more |= {"aliases": ["champion"], "tags": [{"key": "champion", "value": "2"}, {"key": "alias", "value": "champion"}]}
    statuses = {}
    for method, path, about in [
        ("POST", "model-versions/create", {"name": name, "source": "s3://bucket/model"}),
        ("PATCH", "model-versions/update", {"name": name, "version": "2", "description": "in use"}),
        ("POST", "model-versions/set-tag", {"name": name, "version": "2", "key": "current_stage", "value": "Production"}),
        ("POST", "registered-models/set-tag", {"name": name, "key": "champion", "value": "2"}),
        ("PATCH", "registered-models/update", {"name": name, "description": "in use"}),
    ]:
        address = f"{separate.tracking_uri}/api/2.0/mlflow/{path}"
        answer = requests.request(method, address, headers=headers, json=more | about, timeout=60)
        statuses[path] = answer.status_code
    assert set(statuses.values()) == {200}, statuses
    assert in_use(separate, name) == (before[0], before[1] | {"3": "None"})


def test_a_key_that_promotes_does_not_register(separate, as_user):
    name = register(as_user(separate, "acme"))
    house = as_user(separate, "house")
    for refused in (
        lambda: house.create_registered_model(next(names)),
        lambda: house.create_model_version(name, "s3://bucket/model"),
        lambda: house.set_registered_model_tag(name, "a", "b"),
        lambda: house.delete_model_version(name, "2"),
    ):
        with pytest.raises(MlflowException, match="this API key may not"):
            refused()
    house.set_registered_model_alias(name, "champion", "2")
    house.transition_model_version_stage(name, "1", "Production")
    assert in_use(separate, name) == ({"champion": "2"}, {"1": "Production", "2": "None"})
    house.delete_registered_model_alias(name, "champion")
    assert in_use(separate, name)[0] == {}
    with pytest.raises(MlflowException, match="needs the scope mlflow:promote"):
        as_user(separate, "deployer").set_registered_model_alias(name, "champion", "1")
    as_user(separate, "root").set_registered_model_alias(name, "champion", "1")
    assert in_use(separate, name)[0] == {"champion": "1"}


def test_a_rename_would_bring_another_version_into_use(separate, as_user):
    """Why it is promoting: aliases go along."""
    name = register(as_user(separate, "acme"))
    promote_at_mlflow(separate, name)
    at_mlflow(separate, "POST", "registered-models/rename", {"name": name, "new_name": f"{name}-elsewhere"})
    assert in_use(separate, f"{name}-elsewhere") == ({"champion": "1"}, {"1": "Production", "2": "None"})


def test_a_promoter_changes_only_models_that_its_user_may_write_to(tmp_path, stack, as_user):
    owned = SEPARATE | {"HOKUSAI__POLICY__OWNERSHIP": "enforce"}
    with contextlib.closing(start(tmp_path, stack, **owned)) as running:
        name = register(as_user(running, "acme"))
        before = in_use(running, name)
        for change in CHANGES.values():
            with pytest.raises(MlflowException, match=f'the model "{name}" belongs to acme; this API key is house\'s'):
                change(as_user(running, "house"), name)
        assert in_use(running, name) == before
        as_user(running, "acme-promoter").set_registered_model_alias(name, "champion", "1")
        as_user(running, "acme").set_registered_model_tag(name, "hokusai.writers", "house")
        as_user(running, "house").set_registered_model_alias(name, "challenger", "2")
        as_user(running, "root").set_registered_model_alias(name, "shadow", "2")
        assert in_use(running, name)[0] == {"champion": "1", "challenger": "2", "shadow": "2"}


def test_by_default_who_registers_promotes_but_a_key_for_the_registry_alone_does_not(tmp_path, stack, as_user):
    with contextlib.closing(start(tmp_path, stack)) as running:
        name = register(as_user(running, "acme"))
        as_user(running, "acme").set_registered_model_alias(name, "champion", "2")
        deployer = as_user(running, "deployer")
        with pytest.raises(MlflowException, match="it needs the scope mlflow:promote or mlflow:write or mlflow:admin"):
            deployer.set_registered_model_alias(name, "champion", "1")
        deployer.set_registered_model_tag(name, "seen", "yes")
        assert in_use(running, name)[0] == {"champion": "2"}
