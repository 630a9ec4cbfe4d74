"""What leaves MLflow for the providers of its AI gateway: their own stored secret, and nothing of the gateway's or of its callers'.

MLflow passes the headers that it gets on to providers. The providers here listen, and keep them.
"""

import contextlib
import json

import pytest
import requests
from provider import BETTER, JUDGED, Provider
from stack import Stack

OUR_TOKEN = "token-that-mlflow-wants-of-the-gateway"
OUR_PASSWORD = "password-that-mlflow-wants-of-the-gateway"
# "admin:password-that-mlflow-wants-of-the-gateway" in base64.
OUR_BASIC = "YWRtaW46cGFzc3dvcmQtdGhhdC1tbGZsb3ctd2FudHMtb2YtdGhlLWdhdGV3YXk="
PROVIDERS = "secret-that-the-provider-knows"
# What a caller has and says: none of it is a provider's business. Each value is told again nowhere else.
OF_CALLER = {
    "Cookie": "session=of-the-caller",
    "X-Forwarded-For": "203.0.113.77",
    "X-Forwarded-Host": "caller.example",
    "Forwarded": "for=203.0.113.78",
    "X-Real-IP": "203.0.113.79",
    "Via": "1.1 proxy.caller.example",
    "X-Request-Id": "request-of-the-caller",
    "traceparent": "00-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-bbbbbbbbbbbbbbbb-01",
    "tracestate": "caller=state",
    "baggage": "who=caller",
    "Origin": "http://caller.example",
    "Referer": "http://caller.example/page",
    "X-Hokusai-User-Id": "caller-says",
    "X-MLflow-Authorization": "Basic Y2FsbGVyOnNheXM=",
    "X-MLflow-Gateway-Caller": "judge",
    "X-MLflow-Client-Version": "3.17.2",
    "X-MLflow-Anything": "caller-says",
    "api-key": "caller-says",
    "x-goog-api-key": "caller-says",
    "x-goog-user-project": "caller-says",
    "OpenAI-Organization": "caller-says",
    "x-portkey-config": "caller-says",
    "Proxy-Authorization": "Basic Y2FsbGVyOnNheXM=",
    "X-Anything": "caller-says",
}
# MLflow's HTTP client says these by itself; `via` says that a gateway is there, which an endpoint that leads back to it needs.
ALLOWED = {
    # `date` is awc's: the time, and nothing else.
    *("date", "host", "accept", "accept-encoding", "content-type", "content-length", "user-agent", "via", "x-mlflow-workspace"),
    *("anthropic-version", "anthropic-beta", "openai-beta", "authorization", "x-api-key"),
}
# The kinds of provider, and what is behind their addresses.
PATHS = {"openai": "/v1", "xai": "/v1", "groq": "/v1", "anthropic": "/v1", "typesafe": "/v1", "databricks": ""}
AGENTS = ["claude-cli/2.0.1 (external, cli)", "codex_cli_rs/0.1", "GeminiCLI/1.0/m (linux; x64)", "python-requests/2"]
MESSAGES = {"messages": [{"role": "user", "content": "hello"}]}
CONTENTS = {"contents": [{"role": "user", "parts": [{"text": "hello"}]}]}
# Every route of MLflow's AI gateway that calls out: the path below /gateway/, and its body.
CALLS = [
    ("openai/mlflow/invocations", MESSAGES),
    ("openai/mlflow/invocations", {"input": "hello"}),
    ("mlflow/v1/chat/completions", {"model": "openai"} | MESSAGES),
    ("openai/v1/chat/completions", {"model": "openai"} | MESSAGES),
    ("openai/v1/chat/completions", {"model": "xai"} | MESSAGES),
    ("openai/v1/embeddings", {"model": "openai", "input": "hello"}),
    ("openai/v1/responses", {"model": "openai", "input": "hello"}),
    ("openai/v1/responses/compact", {"model": "openai", "input": "hello"}),
    ("anthropic/v1/messages", {"model": "anthropic", "max_tokens": 9} | MESSAGES),
    ("gemini/v1beta/models/databricks:generateContent", CONTENTS),
    ("gemini/v1beta/models/databricks:streamGenerateContent", CONTENTS),
    ("typesafe/v1/systemone", {"model": "typesafe", "input": "hello"}),
    ("proxy/openai/v1/anything", {"model": "m"} | MESSAGES),
    ("proxy/anthropic/v1/anything", {"model": "m"} | MESSAGES),
    ("proxy/xai/v1/anything", {"model": "m"} | MESSAGES),
]


def serve(folder, binary, provider, auth, *arguments, **environment):
    """MLflow with an endpoint for each kind of provider, and a gateway that has `auth` to show it."""
    running = Stack(folder, binary)
    environment = {
        "MLFLOW_CRYPTO_KEK_PASSPHRASE": "a-passphrase-of-a-test",
        "MLFLOW_GATEWAY_API_BASE_ALLOW_PRIVATE_IPS": "true",
        "MLFLOW_GATEWAY_API_BASE_ALLOWED_SCHEMES": "http",
        "OPENAI_API_KEY": PROVIDERS,
        "OPENAI_API_BASE": f"{provider.url}/v1",
    } | environment
    running.start_mlflow(*arguments, **environment)
    running.credential = ("admin", OUR_PASSWORD) if auth["HOKUSAI__MLFLOW__AUTH"] == "basic" else None
    running.endpoints = {name: endpoint(running, name, f"{provider.url}{path}") for name, path in PATHS.items()}
    running.key = running.create_key("--user", "ada-who-calls", "--test", "--scope", "mlflow:gateway_invoke")
    running.key_id = running.key_file.read_text().split('id = "')[1].split('"')[0]
    running.auth = auth
    running.start_gateway(HOKUSAI__LIMITS__MODE="off", HOKUSAI__SERVER__TRUSTED_PROXIES="127.0.0.1", **auth)
    return running


def ask_mlflow(running, path, body) -> dict:
    url = f"{running.mlflow_url}/api/3.0/mlflow/{path}"
    answer = requests.post(url, json=body, auth=running.credential, timeout=60)
    assert answer.status_code == 200, answer.text
    return answer.json()


def endpoint(running, name, url) -> str:
    """The id of a new endpoint for a provider at `url`."""
    secret = {"secret_name": name, "provider": name, "secret_value": {"api_key": PROVIDERS}, "auth_config": {"api_base": url}}
    secret_id = ask_mlflow(running, "gateway/secrets/create", secret)["secret"]["secret_id"]
    model = {"name": name, "secret_id": secret_id, "provider": name, "model_name": "m"}
    model_id = ask_mlflow(running, "gateway/model-definitions/create", model)["model_definition"]["model_definition_id"]
    configs = [{"model_definition_id": model_id, "linkage_type": "PRIMARY", "weight": 1}]
    made = ask_mlflow(running, "gateway/endpoints/create", {"name": name, "model_configs": configs})
    return made["endpoint"]["endpoint_id"]


def call(running, path, body, **headers) -> requests.Response:
    headers = {"Authorization": f"Bearer {running.key}"} | headers
    return requests.post(f"{running.tracking_uri}/gateway/{path}", json=body, headers=headers, timeout=60)


@pytest.fixture(scope="module")
def provider():
    with Provider() as listening:
        yield listening


@pytest.fixture(scope="module")
def with_token(tmp_path_factory, stack, provider):
    """MLflow behind something that wants a token of the gateway, which MLflow itself does not look at."""
    auth = {"HOKUSAI__MLFLOW__AUTH": "bearer", "HOKUSAI__MLFLOW__TOKEN": OUR_TOKEN}
    with contextlib.closing(serve(tmp_path_factory.mktemp("token"), stack.binary, provider, auth)) as running:
        yield running


@pytest.fixture(scope="module")
def with_password(tmp_path_factory, stack, provider):
    """MLflow's own basic-auth app, which knows the gateway as its administrator."""
    secrets = {"MLFLOW_AUTH_ADMIN_PASSWORD": OUR_PASSWORD, "MLFLOW_FLASK_SERVER_SECRET_KEY": "a-secret-of-a-test"}
    auth = {"HOKUSAI__MLFLOW__AUTH": "basic", "HOKUSAI__MLFLOW__USERNAME": "admin", "HOKUSAI__MLFLOW__PASSWORD": OUR_PASSWORD}
    serving = serve(tmp_path_factory.mktemp("password"), stack.binary, provider, auth, "--app-name", "basic-auth", **secrets)
    with contextlib.closing(serving) as running:
        yield running


def assert_nothing_is_told(running, request):
    headers = request["headers"]
    names = {name for name, _ in headers}
    assert names <= ALLOWED, names - ALLOWED
    secrets = [value for name, value in headers if name in ("authorization", "x-api-key")]
    assert secrets in ([f"Bearer {PROVIDERS}"], [PROVIDERS])
    assert [value for name, value in headers if name == "via"] in ([], ["1.1 hokusai-gateway-hop"])
    told = str(headers)
    ours = [OUR_TOKEN, OUR_PASSWORD, OUR_BASIC, running.key, running.key_id, "ada-who-calls", "hk_test_"]
    for secret in [*ours, *OF_CALLER.values(), "203.0.113.", "caller"]:
        assert secret not in told, f"{secret} reached the provider"


@pytest.mark.parametrize("agent", AGENTS)
def test_a_provider_gets_its_own_secret_and_nothing_of_gateway_or_caller(with_token, provider, agent):
    for path, body in CALLS:
        provider.forget()
        sent = OF_CALLER | {"User-Agent": agent, "anthropic-version": "2023-06-01"}
        answer = call(with_token, path, body, **sent)
        assert answer.status_code == 200, f"{path}: {answer.text}"
        (request,) = provider.requests
        assert_nothing_is_told(with_token, request)


@pytest.mark.parametrize("sent_as", ["Basic", "ApiKey", "X-API-Key"])
def test_however_the_key_is_sent_no_provider_gets_it(with_token, provider, sent_as):
    key = with_token.key
    basic = requests.auth._basic_auth_str("ada", key)
    sent = {"Basic": ("Authorization", basic), "ApiKey": ("Authorization", f"ApiKey {key}"), "X-API-Key": ("X-API-Key", key)}
    name, value = sent[sent_as]
    for path in ("openai/v1/chat/completions", "proxy/xai/v1/anything"):
        provider.forget()
        headers = {"User-Agent": "claude-cli/2.0.1", name: value}
        url = f"{with_token.tracking_uri}/gateway/{path}"
        answer = requests.post(url, json={"model": "openai"} | MESSAGES, headers=headers, timeout=60)
        assert answer.status_code == 200, answer.text
        (request,) = provider.requests
        assert_nothing_is_told(with_token, request)
        assert basic.split()[1] not in str(request)


def test_a_key_in_a_query_goes_nowhere_and_other_queries_go_on(with_token, provider):
    provider.forget()
    path, body = "proxy/openai/v1/anything", {"model": "m"} | MESSAGES
    assert call(with_token, f"{path}?key={with_token.key}", body).json()["reason"] == "credential_ambiguous"
    assert provider.requests == []
    assert call(with_token, f"{path}?alt=sse", body).status_code == 200
    assert provider.requests[0]["path"].endswith("/v1/anything?alt=sse")


def test_mlflows_own_app_takes_the_gateways_credential_and_strips_it(with_password, provider):
    for agent in AGENTS:
        for path, body in CALLS:
            provider.forget()
            answer = call(with_password, path, body, **OF_CALLER | {"User-Agent": agent})
            assert answer.status_code == 200, f"{path}: {answer.text}"
            (request,) = provider.requests
            assert_nothing_is_told(with_password, request)
    # It does look at it: with no credential, and with a caller's, it says no.
    url = f"{with_password.mlflow_url}/gateway/openai/v1/chat/completions"
    for headers in ({}, {"X-MLflow-Authorization": OF_CALLER["X-MLflow-Authorization"]}):
        assert requests.post(url, json={"model": "openai"} | MESSAGES, headers=headers, timeout=60).status_code == 401


def test_what_says_how_to_answer_passes(with_token, provider):
    provider.forget()
    sent = {"anthropic-beta": "tools-1", "Accept": "application/json", "User-Agent": "Anthropic/Python 1"}
    assert call(with_token, "anthropic/v1/messages", CALLS[8][1], **sent).status_code == 200
    headers = dict(provider.requests[0]["headers"])
    assert {name.lower(): headers[name.lower()] for name in sent} == {name.lower(): value for name, value in sent.items()}


@pytest.fixture(scope="module")
def guarded(with_token):
    """The same, with an endpoint whose judge finds all impolite, so that MLflow asks itself for better words."""
    judge = {
        "name": "polite",
        "mlflow_version": "3.17.2",
        "serialization_version": 1,
        "instructions_judge_pydantic_data": {
            "instructions": f"{JUDGED}: {{{{ inputs }}}}. Answer yes or no.",
            "model": "openai:/m",
            "feedback_value_type": {"title": "Result", "type": "string"},
        },
    }
    scorer = {"experiment_id": "0", "name": "polite", "serialized_scorer": json.dumps(judge)}
    scorer = ask_mlflow(with_token, "scorers/register", scorer)
    guardrail = {"name": "polite", "scorer_id": scorer["scorer_id"], "scorer_version": scorer["version"], "stage": "BEFORE"}
    guardrail |= {"action": "SANITIZATION", "action_endpoint_id": with_token.endpoints["openai"]}
    guardrail_id = ask_mlflow(with_token, "gateway/guardrails/create", guardrail)["guardrail"]["guardrail_id"]
    looked_at = {"endpoint_id": with_token.endpoints["groq"], "guardrail_id": guardrail_id}
    ask_mlflow(with_token, "gateway/guardrails/add-to-endpoint", looked_at)
    return with_token


def test_no_caller_chooses_where_mlflow_sends_what_its_guardrails_look_at(guarded, provider, tmp_path):
    second = Stack(tmp_path / "second", guarded.binary)
    second.mlflow_url, second.key_file, second.key = guarded.mlflow_url, guarded.key_file, guarded.key
    with contextlib.closing(second), Provider() as callers:
        second.start_gateway(HOKUSAI__MLFLOW__HOST_HEADER="client", **guarded.auth)
        provider.forget()
        host = callers.url.removeprefix("http://")
        answer = call(second, "openai/v1/chat/completions", {"model": "groq"} | MESSAGES, Host=host)
        assert callers.requests == [], "MLflow asked whom the caller named"
        # It asked itself, and by that the provider: the judge, for better words, and with those.
        assert answer.status_code == 200, answer.text
        assert [request["path"] for request in provider.requests] == ["/v1/chat/completions"] * 3
        assert BETTER in provider.requests[2]["body"]
