"""Whom real proxies say that their client is, in every form that they can write it, and what a client writes there itself."""

import http.client
import itertools
import json

import pytest
from front import start_nginx
from stack import free_port
from waiting import eventually

FORGED = {
    "X-Forwarded-For": "192.0.2.66",
    "X-Forwarded-Proto": "https",
    "Forwarded": 'for=192.0.2.67;proto=https, for="192.0.2.68',
}
CLIENTS = {"127.0.0.1": "127.0.0.9", "[::1]": "::1"}
NUMBERS = itertools.count()

# As nginx's own documents have it (nginx.com/resources/wiki/start/topics/examples/forwarded).
FORWARDED = r"""
map $remote_addr $element {{
    ~^[0-9.]+$        "for=$remote_addr;proto=$scheme";
    ~^[0-9A-Fa-f:.]+$ "for=\"[$remote_addr]:$remote_port\";proto=$scheme";
    default           "for=unknown";
}}
map $http_forwarded $forwarded {{
    ""      $element;
    default "$http_forwarded, $element";
}}
map $remote_addr $with_port {{
    ~^[0-9.]+$ "$remote_addr:$remote_port";
    default    "[$remote_addr]:$remote_port";
}}
map $remote_addr $in_brackets {{
    ~^[0-9.]+$ "$remote_addr";
    default    "[$remote_addr]";
}}
"""
NGINX = {
    "nginx appends": ("x-forwarded-for", "X-Forwarded-For $proxy_add_x_forwarded_for"),
    "nginx sets": ("x-forwarded-for", "X-Forwarded-For $remote_addr"),
    "with a port, as Azure's": ("x-forwarded-for", "X-Forwarded-For $with_port"),
    "appended with a port": ("x-forwarded-for", 'X-Forwarded-For "$http_x_forwarded_for, $with_port"'),
    "in brackets": ("x-forwarded-for", "X-Forwarded-For $in_brackets"),
    "nginx appends to Forwarded": ("forwarded", "Forwarded $forwarded"),
    "nginx sets Forwarded": ("forwarded", "Forwarded $element"),
}
HAPROXY = {
    "HAProxy appends": ("x-forwarded-for", "option forwardfor"),
    "HAProxy with a port": ("x-forwarded-for", "http-request set-header X-Forwarded-For [%[src]]:%[src_port]"),
    "HAProxy appends to Forwarded": ("forwarded", r"http-request add-header Forwarded proto=http;for=\"[%[src]]\""),
}
HAPROXY_CONFIGURATION = """
global
    maxconn 100
defaults
    mode http
    timeout connect 5s
    timeout client 30s
    timeout server 30s
frontend front
    bind {listen}:{port}
    {line}
    default_backend back
backend back
    server gateway {gateway}
"""


@pytest.fixture(scope="module")
def gateways(stack, tmp_path_factory):
    """A gateway for each header, before the MLflow of all tests."""
    started = {}
    for header in ("x-forwarded-for", "forwarded"):
        gateway = type(stack)(tmp_path_factory.mktemp(header), stack.binary)
        gateway.mlflow_url, gateway.key_file, gateway.key = stack.mlflow_url, stack.key_file, stack.key
        gateway.start_gateway(HOKUSAI__SERVER__TRUSTED_PROXIES="127.0.0.1/32", HOKUSAI__SERVER__FORWARDED_HEADER=header)
        started[header] = gateway
    yield started
    for gateway in started.values():
        gateway.stop()


def start_haproxy(gateway, line: str, listen: str) -> int:
    port = free_port()
    configuration = gateway.folder / f"haproxy-{port}.cfg"
    values = {"listen": listen, "port": port, "line": line, "gateway": gateway.url.removeprefix("http://")}
    configuration.write_text(HAPROXY_CONFIGURATION.format(**values))
    process = gateway.start("haproxy", ["haproxy", "-db", "-f", str(configuration)], {})
    gateway.wait_for_port(process, "haproxy", listen.strip("[]"), port)
    return port


def client_ip_seen(gateway, host: str, port: int, headers: dict[str, str]) -> str:
    """What the gateway's log says of a request that is sent there from an address of this test's own."""
    request_id = f"forwarded-{next(NUMBERS)}"
    connection = http.client.HTTPConnection(host.strip("[]"), port, timeout=30, source_address=(CLIENTS[host], 0))
    own = {"Authorization": f"Bearer {gateway.key}", "X-Request-Id": request_id}
    connection.request("GET", "/api/mlflow/api/2.0/mlflow/experiments/get?experiment_id=0", headers=headers | own)
    assert connection.getresponse().status == 200
    connection.close()

    def line() -> dict | None:
        lines = (line for line in gateway.log("gateway").read_text().splitlines() if request_id in line)
        return next((json.loads(line) for line in lines if '"request"' in line), None)

    return eventually(line)["client_ip"]


@pytest.mark.parametrize("listen", CLIENTS)
@pytest.mark.parametrize("proxy", NGINX)
def test_nginx_is_believed_and_what_its_client_writes_is_not(gateways, proxy, listen):
    header, line = NGINX[proxy]
    gateway = gateways[header]
    inside = f"location / {{ proxy_pass {gateway.url}; proxy_set_header Host $http_host; proxy_set_header {line}; }}"
    port = start_nginx(gateway, inside, listen=listen + ":{port}", around=FORWARDED)
    for headers in ({}, FORGED):
        assert client_ip_seen(gateway, listen, port, headers) == CLIENTS[listen], headers


@pytest.mark.parametrize("proxy", HAPROXY)
def test_haproxy_is_believed_and_what_its_client_writes_is_not(gateways, proxy):
    header, line = HAPROXY[proxy]
    gateway, listen = gateways[header], "[::1]"
    port = start_haproxy(gateway, line, listen)
    for headers in ({}, FORGED):
        assert client_ip_seen(gateway, listen, port, headers) == CLIENTS[listen], headers


def test_a_proxy_that_sets_the_other_header_is_the_client_itself(gateways):
    for header, line in (("forwarded", "X-Forwarded-For $remote_addr"), ("x-forwarded-for", "Forwarded $element")):
        gateway = gateways[header]
        inside = f"location / {{ proxy_pass {gateway.url}; proxy_set_header Host $http_host; proxy_set_header {line}; }}"
        port = start_nginx(gateway, inside, around=FORWARDED)
        assert client_ip_seen(gateway, "127.0.0.1", port, {}) == "127.0.0.1"


def test_a_client_without_a_proxy_is_its_own_address_whatever_it_writes(gateways):
    for gateway in gateways.values():
        port = int(gateway.url.rsplit(":", 1)[1])
        assert client_ip_seen(gateway, "127.0.0.1", port, FORGED) == "127.0.0.9"
