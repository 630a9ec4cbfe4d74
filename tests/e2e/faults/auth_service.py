"""HG-A…: the auth service."""

from fake_auth_service import good_for

from .place import NOBODY


def _answers(place, status: int, answer: dict):
    return place.probe(HOKUSAI_AUTH_SERVICE_URL=place.auth_service(lambda *_: (status, answer)))


def a_name_of_the_auth_service_that_nobody_knows(place):
    return place.probe(HOKUSAI_AUTH_SERVICE_URL=f"http://{NOBODY}")


def an_auth_service_that_is_not_running(place):
    return place.probe(HOKUSAI_AUTH_SERVICE_URL=place.closed())


def an_auth_service_that_fails(place):
    service = place.auth_service(lambda *_: (500, {}))
    place.serve(HOKUSAI_AUTH_SERVICE_URL=service)
    assert place.get().status_code == 503
    named = place.probe(HOKUSAI_AUTH_SERVICE_URL=service).codes()
    return lambda: named & place.logged()


def an_auth_service_with_another_service_id(place):
    service = place.auth_service(good_for("platform"))
    return place.probe(HOKUSAI_AUTH_SERVICE_URL=service, AUTH_SERVICE_ID="ml", HOKUSAI_API_KEY="good-key")


def an_auth_service_that_redirects(place):
    return _answers(place, 307, {})


def an_auth_service_that_says_nothing(place):
    return _answers(place, 401, {})


def a_page_in_the_auth_services_place(place):
    return place.probe(HOKUSAI_AUTH_SERVICE_URL=place.nginx("return 404;"))


def an_auth_service_that_accepts_everything(place):
    return _answers(place, 200, {"is_valid": True})


def an_auth_service_that_is_asked_too_often(place):
    return _answers(place, 429, {})
