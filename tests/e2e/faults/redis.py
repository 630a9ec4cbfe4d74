"""HG-R…: Redis."""

import socket
import subprocess
import threading
import time

from fake_auth_service import good_for
from stack import free_port
from waiting import eventually

from .place import NOBODY


def _at(place, port: int, userinfo: str = ""):
    return place.probe(REDIS_URL=f"redis://{userinfo}127.0.0.1:{port}")


def _late(place, port: int, seconds: float) -> int:
    """Another address of what listens at `port`: each piece arrives later by so much."""
    late = socket.create_server(("127.0.0.1", 0))
    place.ends.append(late.close)

    def carry(source, sink):
        try:
            while piece := source.recv(65536):
                time.sleep(seconds)
                sink.sendall(piece)
        except OSError:
            pass

    def take():
        try:
            while True:
                client, _ = late.accept()
                server = socket.create_connection(("127.0.0.1", port))
                for pair in ((client, server), (server, client)):
                    threading.Thread(target=carry, args=pair, daemon=True).start()
        except OSError:
            pass

    threading.Thread(target=take, daemon=True).start()
    return late.getsockname()[1]


def a_name_of_redis_that_nobody_knows(place):
    return place.probe(REDIS_URL=f"redis://{NOBODY}")


def a_redis_that_is_not_running(place):
    return _at(place, free_port())


def a_redis_that_is_far_away(place):
    return _at(place, _late(place, place.redis(), 0.06))


def a_redis_far_from_a_running_gateway(place):
    place.serve(REDIS_URL=f"redis://127.0.0.1:{_late(place, place.redis(), 0.036)}")
    return place.logged


def a_redis_that_wants_a_password(place):
    return _at(place, place.redis("--requirepass", "obviously-a-password"))


def _user_of_a_redis(place, *rules: str) -> int:
    port = place.redis()
    command = ["redis-cli", "-p", str(port), "acl", "setuser", "gateway", "on", ">obviously", *rules]
    subprocess.run(command, check=True, capture_output=True)
    return port


def a_redis_that_lets_the_user_do_too_little(place):
    return _at(place, _user_of_a_redis(place, "~hokusai:*", "+@all", "-evalsha"), "gateway:obviously@")


def a_redis_that_lets_a_running_gateway_do_too_little(place):
    port = _user_of_a_redis(place, "~hokusai:*", "+@all", "-evalsha")
    place.serve(REDIS_URL=f"redis://gateway:obviously@127.0.0.1:{port}")
    return place.logged


def a_redis_without_its_replicas(place):
    return _at(place, place.redis("--min-replicas-to-write", "1"))


def a_redis_that_is_a_replica(place):
    master = place.redis()
    return _at(place, place.redis("--replicaof", f"127.0.0.1 {master}"))


def a_redis_that_is_full(place):
    return _at(place, place.redis("--maxmemory", "1", "--maxmemory-policy", "noeviction"))


def a_sentinel_that_knows_no_such_master(place):
    master, port = place.redis(), free_port()
    config = place.folder / "sentinel.conf"
    config.write_text(f"port {port}\ndir {place.folder}\nsentinel monitor themaster 127.0.0.1 {master} 1\n")
    process = place.own.start("sentinel", ["redis-server", str(config), "--sentinel"], {})
    place.own.wait_for_port(process, "sentinel", "127.0.0.1", port)
    return place.probe(REDIS_URL=f"redis+sentinel://127.0.0.1:{port}/another")


def something_else_in_the_place_of_redis(place):
    return _at(place, int(place.nginx("return 200;").rsplit(":", 1)[1]))


def revocations_that_nobody_tells(place):
    service = place.auth_service(good_for("platform"))
    place.serve(HOKUSAI_AUTH_SERVICE_URL=service, REDIS_URL=f"redis://127.0.0.1:{free_port()}")
    return place.logged


def revocations_that_the_user_may_not_hear(place):
    port = _user_of_a_redis(place, "~hokusai:*", "resetchannels", "+@all", "-@dangerous", "-@admin")
    url = f"redis://gateway:obviously@127.0.0.1:{port}"
    probed = place.probe(REDIS_URL=url)
    assert probed.failed() == {}
    assert any("HG-R10" in check["found"] and "&hokusai:*" in check["found"] for check in probed.said["checks"])
    place.serve(REDIS_URL=url)
    return place.logged


def a_revocation_that_reaches_nobody(place):
    valid = [True]
    service = place.auth_service(lambda *_: (200, {"is_valid": valid[0], "key_id": "k-1", "user_id": "ada"}))
    url = f"redis://127.0.0.1:{place.redis()}"
    place.serve(HOKUSAI_AUTH_SERVICE_URL=service, REDIS_URL=url, HOKUSAI__AUTH__CACHE__TTL="100ms")
    assert place.get(key="good-key").status_code == 200
    place.own.halt(place.redis_process)
    valid[0] = False
    eventually(lambda: place.get(key="good-key").status_code == 401)
    return place.logged


def a_redis_without_gateways(place):
    url = f"redis://127.0.0.1:{place.redis()}"
    revoked = place.run("keys", "revoke", "k-1", HOKUSAI_AUTH_SERVICE_URL=place.closed(), REDIS_URL=url)
    assert revoked.code == 1 and not revoked.said["told"]
    return revoked.printed.split


def two_peppers_on_one_redis(place):
    service, url = place.auth_service(good_for("platform")), f"redis://127.0.0.1:{place.redis()}"
    shared = {"HOKUSAI_AUTH_SERVICE_URL": service, "REDIS_URL": url}
    place.serve(HOKUSAI__AUTH__PEPPER="the first pepper", **shared)
    named = lambda pepper: place.probe(HOKUSAI__AUTH__PEPPER=pepper, **shared).codes()  # noqa: E731
    eventually(lambda: "HG-S11" in named("the second pepper"))
    assert "HG-S11" not in named("the first pepper")
    # The one that starts later hears of it in its log.
    second = type(place)(place.stack, place.folder / "second", place.shared)
    place.ends.append(second.own.stop)
    second.serve(HOKUSAI__AUTH__PEPPER="the second pepper", **shared)
    return second.logged
