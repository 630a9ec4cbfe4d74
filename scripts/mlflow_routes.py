"""Prints every route that the installed MLflow has, as `METHOD /path`: what it says itself, of Flask and of FastAPI.

A parameter is {name}, one that takes slashes {*name}. The tests hold the gateway's table against this.
"""

import importlib.util
import re


def flask_routes():
    from mlflow.server import app

    for rule in app.url_map.iter_rules():
        path = re.sub(r"<path:(\w+)>", r"{*\1}", rule.rule)
        path = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", path)
        # Flask adds these by itself; the gateway takes HEAD for GET and answers OPTIONS alone.
        for method in rule.methods - {"HEAD", "OPTIONS"}:
            yield method, path


def fastapi_routes():
    # There since 3.2: before, all was Flask's.
    if not importlib.util.find_spec("mlflow.server.fastapi_app"):
        return
    from mlflow.server.fastapi_app import create_fastapi_app
    from starlette.routing import Mount

    def walk(routes, prefix):
        for route in routes:
            if isinstance(route, Mount):
                # Behind it stands Flask.
                assert route.path == "", route
            elif hasattr(route, "original_router"):
                yield from walk(route.original_router.routes, prefix + route.include_context.prefix)
            else:
                path = re.sub(r"\{(\w+):path\}", r"{*\1}", prefix + route.path)
                yield from ((method, path) for method in route.methods)

    yield from walk(create_fastapi_app().routes, "")


if __name__ == "__main__":
    for method, path in sorted({*flask_routes(), *fastapi_routes()}):
        print(method, path)
