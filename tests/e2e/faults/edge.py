"""HG-E…: nginx as the edge before a real MLflow, which `doctor` sees from outside."""

import contextlib
import socket
import subprocess
import threading
import time

import pytest
from front import WELL_KNOWN, may_listen, start_nginx, to


def _before(place, more: str = "", instead: str = ""):
    """`doctor` at a load balancer before the gateway, with more rules, or with more inside its one rule."""
    return place.doctor(place.nginx(f"location / {{ {to(place.stack.url)} {instead} }} {more}"))


def _holding_back(place, port: int) -> int:
    """Another address of what listens at `port`, which stops for a second in the middle of a large body."""
    front = socket.create_server(("127.0.0.1", 0))
    place.ends.append(front.close)

    def carry(source, sink, room):
        taken = 0
        with contextlib.suppress(OSError):
            while piece := source.recv(65536):
                if taken < room <= taken + len(piece):
                    time.sleep(1)
                taken += len(piece)
                # What the gateway takes no more is thrown away, so that its answer is read.
                with contextlib.suppress(OSError):
                    sink.sendall(piece)
            sink.shutdown(socket.SHUT_WR)

    def take():
        with contextlib.suppress(OSError):
            while True:
                client, _ = front.accept()
                server = socket.create_connection(("127.0.0.1", port))
                for way in ((client, server, 1_000_000), (server, client, 1 << 60)):
                    threading.Thread(target=carry, args=way, daemon=True).start()

    threading.Thread(target=take, daemon=True).start()
    return front.getsockname()[1]


def a_mount_past_the_gateway(place):
    return _before(place, f"location /ajax-api/ {{ proxy_pass {place.stack.mlflow_url}; }}")


def a_proxy_that_takes_credentials_away(place):
    return _before(place, instead='proxy_set_header Authorization "";')


def a_proxy_that_changes_requests(place):
    return _before(place, instead="proxy_set_header X_Odd 1;")


def a_proxy_that_limits_bodies(place):
    return _before(place, instead="client_max_body_size 1m;")


def a_public_address_without_tls(place):
    if not may_listen():
        pytest.skip("ports 80 and 443 are for root only, here")
    certificate, key = place.authority.issue(f"IP:{WELL_KNOWN}")
    tls = f"ssl_certificate {certificate}; ssl_certificate_key {key}; location / {{ {to(place.stack.url)} }}"
    start_nginx(place.own, tls, f"{WELL_KNOWN}:443 ssl")
    start_nginx(place.own, f"location / {{ {to(place.stack.url)} }}", f"{WELL_KNOWN}:80")
    return place.doctor(f"https://{WELL_KNOWN}", "--ca", str(place.authority.certificate))


def metrics_for_everybody(place):
    return _before(place, f"location = /metrics {{ proxy_pass {place.stack.metrics_url}; }}")


def a_cache_on_the_way(place):
    takes = 'if ($request_method = GET) { return 200 "not what was sent"; }'
    return _before(place, f'location ~ "a note.txt$" {{ {takes} {to(place.stack.url)} }}')


def a_line_that_is_slow(place):
    # Only what is buffered has a rate.
    slow = "proxy_buffering on; proxy_max_temp_file_size 0; limit_rate 200k;"
    return _before(place, f"location ~ large.bin$ {{ {to(place.stack.url)} {slow} }}")


def a_proxy_that_holds_bodies_back(place):
    place.serve(HOKUSAI__SERVER__BODY_IDLE_TIMEOUT="300ms")
    return place.doctor(f"http://127.0.0.1:{_holding_back(place, int(place.own.url.rsplit(':', 1)[1]))}")


def a_balancer_that_is_not_trusted(place):
    # A public address of this machine's own (RFC 5737), for as long as it takes.
    address = ["ip", "address", "{}", "198.51.100.77/32", "dev", "lo"]
    change = lambda verb: [word.format(verb) for word in address]  # noqa: E731
    if subprocess.run(change("add"), capture_output=True, check=False).returncode:
        pytest.skip("addresses are given by root only, here")
    place.ends.append(lambda: subprocess.run(change("del"), check=True, capture_output=True))
    port = start_nginx(place.own, f"location / {{ {to(place.stack.url)} }}", "198.51.100.77:{port}")
    return place.doctor(f"http://198.51.100.77:{port}")


def a_balancer_that_does_not_tell_the_host(place):
    return place.doctor(place.nginx(f"location / {{ proxy_pass {place.stack.url}; proxy_set_header Host inner.example; }}"))


def a_deployment_that_lets_nothing_be_deleted(place):
    return _before(place, "location = /api/mlflow/api/2.0/mlflow/runs/delete { return 500; }")


def a_rule_that_shadows_a_mount(place):
    return _before(place, "location /api/ { return 404; }")


def a_small_limit_on_bodies(place):
    place.serve(HOKUSAI__SERVER__MAX_BODY="1MiB")
    return place.doctor(place.own.url)
