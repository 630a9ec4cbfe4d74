"""HG-K…: keys."""

import re
import subprocess

import requests
from waiting import eventually

from .place import SEARCH


def a_key_that_is_none(place):
    return place.doctor(place.stack.url, key="not-a-good-key")


def a_key_that_may_only_read(place):
    key = place.stack.create_key("--user", "reader", "--test", "--scope=mlflow:read")
    search = lambda: requests.get(place.stack.url + SEARCH, headers={"X-API-Key": key}, timeout=30)  # noqa: E731
    eventually(lambda: search().status_code == 200)
    return place.doctor(place.stack.url, key=key)


def a_key_with_a_small_limit(place):
    place.serve(HOKUSAI__LIMITS__PER_HOUR="60")
    return place.doctor(place.own.url)


def a_key_file_that_cannot_be_read_as_one(place):
    (place.folder / "keys.toml").write_text("[[keys]]\nid = 7\n")
    return place.check(HOKUSAI__AUTH__KEY_FILE__PATH=str(place.folder / "keys.toml"))


def a_key_file_without_keys(place):
    (place.folder / "keys.toml").touch()
    return place.check(HOKUSAI__AUTH__KEY_FILE__PATH=str(place.folder / "keys.toml"))


def a_key_file_of_revoked_keys(place):
    file = ("--file", str(place.folder / "keys.toml"))
    place.own.create_key("--user", "ada", "--test")
    [key] = place.run("keys", *file, "list").said
    assert place.run("keys", *file, "revoke", key["id"]).code == 0
    return place.check(HOKUSAI__AUTH__KEY_FILE__PATH=file[1])


def a_key_file_that_becomes_unreadable(place):
    place.own.create_key("--user", "ada", "--test")
    place.serve(HOKUSAI__AUTH__KEY_FILE__PATH=str(place.own.key_file))
    place.own.key_file.write_text("[[keys]]\nid = 7\n")
    return place.logged


def a_scope_that_there_is_not(place):
    file = place.folder / "keys.toml"
    place.run("keys", "create", "--file", str(file), "--user", "ada", "--scope", "mlflow:raed")
    return place.check(HOKUSAI__AUTH__KEY_FILE__PATH=str(file))


def a_place_for_last_uses_that_is_not_there(place):
    key = place.own.create_key("--user", "ada", "--test")
    file, uses = str(place.own.key_file), str(place.folder / "none" / "uses.toml")
    place.serve(HOKUSAI__AUTH__KEY_FILE__PATH=file, HOKUSAI__AUTH__KEY_FILE__LAST_USED=uses)
    place.get(key=key)
    return place.logged


def a_key_that_has_expired_and_the_auth_service_says_is_good(place):
    good = {"is_valid": True, "key_id": "k-1", "user_id": "ada", "expires_at": "2020-01-01T00:00:00Z"}
    service = place.auth_service(lambda key, _: (200, good if key == "Bearer good-key" else {"is_valid": False}))
    return place.probe(HOKUSAI_AUTH_SERVICE_URL=service, HOKUSAI_API_KEY="good-key")


def a_key_of_the_key_file_that_has_expired(place):
    file = place.folder / "keys.toml"
    create = [str(place.stack.binary), "keys", "create", "--file", str(file), "--user", "ada"]
    key, _ = [subprocess.run([*create, *more], check=True, capture_output=True, text=True).stdout.strip() for more in (["--expires-in", "1h"], [])]
    file.write_text(re.sub(r'expires_at = ".*"', 'expires_at = "2020-01-01T00:00:00Z"', file.read_text()))
    return place.probe(HOKUSAI__AUTH__KEY_FILE__PATH=str(file), HOKUSAI_API_KEY=key)
