"""HG-P…: the process."""

import signal
import socket
import time

from commands import run
from fake_auth_service import AuthService, good_for


def a_port_that_is_taken(place):
    taken = socket.create_server(("127.0.0.1", 0))
    place.ends.append(taken.close)
    place.serve(HOKUSAI__SERVER__BIND=f"127.0.0.1:{taken.getsockname()[1]}", fails="yes")
    assert place.gateway.wait(30) == 1
    return place.logged


def more_connections_than_files(place):
    return place.check(HOKUSAI__SERVER__MAX_CONNECTIONS="1000000000")


def a_gateway_that_is_stopping(place):
    place.serve(HOKUSAI__SERVER__SETTLE_TIME="1h")
    place.signal(signal.SIGTERM)
    # A second one ends the settle time.
    place.ends.append(lambda: place.signal(signal.SIGTERM))
    return lambda: place.ready() & place.logged()


def a_drain_without_time(place):
    place.serve(HOKUSAI__SERVER__DRAIN_GRACE="1s", HOKUSAI__SERVER__WORKERS="1")
    upload = socket.create_connection(("127.0.0.1", int(place.own.url.rsplit(":", 1)[1])))
    place.ends.append(upload.close)
    head = f"PUT /api/2.0/mlflow-artifacts/artifacts/0/half.txt HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {place.stack.key}\r\n"
    upload.sendall(f"{head}Content-Length: 100\r\n\r\nhalf".encode())
    # It is under way when another request on its worker, of which there is one, was answered.
    place.get()
    place.signal(signal.SIGTERM)
    assert place.gateway.wait(30) == 0
    return place.logged


def _reload(place, before: str, after: str):
    config = place.folder / "gateway.toml"
    config.write_text(before)
    place.serve(config=str(config))
    config.write_text(after)
    place.signal(signal.SIGHUP)
    return place.logged


def a_reload_of_settings_that_are_wrong(place):
    return _reload(place, "", "[limits]\nper_hour = 0\n")


def a_reload_that_needs_a_restart(place):
    return _reload(place, "", "[server]\nworkers = 7\n")


def a_port_that_check_finds_taken(place):
    taken = socket.create_server(("127.0.0.1", 0))
    place.ends.append(taken.close)
    return place.check(HOKUSAI__SERVER__BIND=f"127.0.0.1:{taken.getsockname()[1]}")


def a_port_without_the_right_to_it(place):
    without = ["--bounding-set", "-net_bind_service", str(place.stack.binary), "check"]
    return run("setpriv", without, place.stack.folder, {"MLFLOW_SERVER_URL": "http://127.0.0.1:5000", "HOKUSAI__SERVER__BIND": "127.0.0.1:83"})


def an_address_of_nobody(place):
    # For documents (RFC 5737).
    return place.check(HOKUSAI__METRICS__BIND="192.0.2.1:9464")


def a_process_with_few_files(place):
    few = ["-c", 'ulimit -n 64 && exec "$0" "$@"', str(place.stack.binary), "check"]
    return run("sh", few, place.stack.folder, {"MLFLOW_SERVER_URL": "http://127.0.0.1:5000"})


def an_auth_service_whose_clock_is_slow(place):
    class Slow(AuthService):
        def date_time_string(self, timestamp=None):
            return super().date_time_string(time.time() - 3600)

    service = place.auth_service(good_for("platform"), Slow)
    return place.probe(HOKUSAI_AUTH_SERVICE_URL=service)
