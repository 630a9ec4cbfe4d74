"""Prints what each route of the installed MLflow reads of a request, as JSON: `METHOD /path` and its parameters and fields.

What it says comes from MLflow itself: protobuf's descriptors, FastAPI's signatures, and for handlers without either the names
in their code. The tests hold the subjects of the gateway's table against it.
"""

import ast
import importlib.util
import inspect
import json
import re
import textwrap

# Deeper there are values of users.
DEEPEST = 5


def is_list(field) -> bool:
    # protobuf 7 has no labels.
    return field.is_repeated if hasattr(field, "is_repeated") else field.label == field.LABEL_REPEATED


def fields_of_message(message, before="", depth=0):
    for field in message.fields:
        name = f"{before}{field.name}{'[]' if is_list(field) else ''}"
        yield name
        inner = field.message_type
        if inner and depth < DEEPEST and not inner.GetOptions().map_entry and not inner.full_name.startswith("google."):
            yield from fields_of_message(inner, f"{name}.", depth + 1)


def fields_of_model(model, before=""):
    for name, field in getattr(model, "model_fields", {}).items():
        name = f"{before}{field.alias or name}{'[]' if str(field.annotation).startswith('list') else ''}"
        yield name
        for kind in [field.annotation, *getattr(field.annotation, "__args__", ())]:
            yield from fields_of_model(kind, f"{name}.")


def functions_of(handler):
    """A handler, and the one that it calls when it is only a name for it."""
    handler = inspect.unwrap(handler)
    yield handler
    for name in handler.__code__.co_names:
        if name.endswith("_handler") and callable(called := handler.__globals__.get(name)):
            yield inspect.unwrap(called)


def source_of(handler) -> str:
    return "\n".join(textwrap.dedent(inspect.getsource(function)) for function in functions_of(handler))


def required_by(handler) -> list[str]:
    """The fields without which a handler refuses a request: those of its schema, and those that it looks for by itself."""
    found = []
    for node in ast.walk(ast.parse(source_of(handler))):
        if isinstance(node, ast.Dict):
            checks = zip(node.keys, node.values, strict=True)
            found += [key.value for key, value in checks if isinstance(key, ast.Constant) and "_assert_required" in ast.dump(value)]
        if isinstance(node, ast.If) and "raise" in ast.unparse(node) and isinstance(node.test, ast.UnaryOp):
            # `if not experiment_id: raise`
            found.append(ast.unparse(node.test.operand))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "assert_arg_exists":
            found.append(node.args[0].value)
    return sorted(set(found))


def named_by(handler) -> list[str]:
    """The fields that a handler without a message takes: `args.get("name")`, `args["name"]`, and the names of its schema."""
    found = []
    for node in ast.walk(ast.parse(source_of(handler))):
        match node:
            case ast.Call(func=ast.Attribute(attr="get"), args=[name, *_]) | ast.Subscript(slice=name):
                found.append(name)
            case ast.keyword(arg="schema", value=ast.Dict(keys=names)):
                found += names
    return sorted({name.value for name in found if isinstance(name, ast.Constant) and isinstance(name.value, str)})


def plain(path: str) -> str:
    path = re.sub(r"<path:(\w+)>", r"{*\1}", path)
    return re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", path)


def flask_routes():
    from mlflow.protos import databricks_pb2
    from mlflow.server import app, handlers

    messages = {}
    told = inspect.signature(handlers._get_paths).parameters

    def paths_of(endpoint):
        # Before 3.2 every route was of version 2.0.
        return handlers._get_paths(endpoint.path, *([endpoint.since.major] if "version" in told else []))

    for service in ["MlflowService", "ModelRegistryService", "MlflowArtifactsService", "WebhookService"]:
        service = getattr(handlers, service, None)
        for method in service.DESCRIPTOR.methods if service else []:
            for endpoint in method.GetOptions().Extensions[databricks_pb2.rpc].endpoints:
                for path in paths_of(endpoint):
                    # Of two messages for one path, Flask takes the first.
                    messages.setdefault((endpoint.method, path), service().GetRequestClass(method).DESCRIPTOR)
    for rule in app.url_map.iter_rules():
        handler = app.view_functions[rule.endpoint]
        for method in rule.methods - {"HEAD", "OPTIONS"}:
            message = messages.get((method, rule.rule))
            source, named = source_of(handler), named_by(handler)
            of_query = named if "request.args" in source else []
            of_body = named if re.search(r"request\.json|_json\(", source) else []
            yield (
                f"{method} {plain(rule.rule)}",
                {
                    "by": "descriptor" if message else "code",
                    "body": list(fields_of_message(message)) if message else of_body,
                    # MLflow takes a message from the query of a GET (`_get_request_message`).
                    "query": [*(message.fields_by_name if message and method == "GET" else []), *of_query],
                    "header": [],
                    "required": required_by(handler),
                },
            )


def fastapi_routes():
    if not importlib.util.find_spec("mlflow.server.fastapi_app"):
        return
    from mlflow.server.fastapi_app import create_fastapi_app
    from starlette.routing import Mount

    def walk(routes, prefix):
        for route in routes:
            if hasattr(route, "original_router"):
                yield from walk(route.original_router.routes, prefix + route.include_context.prefix)
            elif hasattr(route, "dependant") and not isinstance(route, Mount):
                yield prefix + route.path, route

    for path, route in walk(create_fastapi_app().routes, ""):
        parameters = route.dependant
        models = [one.field_info.annotation for one in parameters.body_params]
        body = [field for model in models for field in fields_of_model(model)]
        required = [name for model in models for name, field in model.model_fields.items() if field.is_required()]
        path = re.sub(r"\{(\w+):path\}", r"{*\1}", path)
        for method in route.methods:
            yield (
                f"{method} {path}",
                {
                    "by": "signature",
                    "body": body,
                    "query": [one.alias for one in parameters.query_params],
                    "header": [one.alias.lower() for one in parameters.header_params],
                    "required": [*required, *(one.alias.lower() for one in parameters.header_params if one.field_info.is_required())],
                },
            )


def readings() -> dict:
    """Which run a request names that names several."""
    from mlflow.protos.service_pb2 import SetTag
    from mlflow.server import app
    from mlflow.server.handlers import _get_request_message

    def run_of(method, query, **body):
        with app.test_request_context(f"/?{query}", method=method, data=json.dumps(body), content_type="application/json"):
            from flask import request

            try:
                message = _get_request_message(SetTag(), flask_request=request)
            except Exception as error:
                return type(error).__name__
            return message.run_id or message.run_uuid

    return {
        "the query beside the body of a POST": run_of("POST", "run_id=query", run_id="body"),
        "the query of a POST without a field": run_of("POST", "run_id=query", key="a"),
        "the query beside the body of a DELETE": run_of("DELETE", "run_id=query", run_id="body"),
        "the query beside the body of a GET": run_of("GET", "run_id=query", run_id="body"),
        "a repeated parameter of a GET": run_of("GET", "run_id=first&run_id=second"),
        "the query of a HEAD": run_of("HEAD", "run_id=query", run_id="body"),
        "the other spelling": run_of("POST", "", runId="camel"),
        "a number": run_of("POST", "", run_id=7),
        "nothing": run_of("POST", "", run_id=None, run_uuid="uuid"),
        "an empty text": run_of("POST", "", run_id="", run_uuid="uuid"),
        "a fault behind one of two names": run_of("POST", "", run_uuid="uuid", key=7, run_id="id"),
    }


if __name__ == "__main__":
    print(json.dumps({"routes": dict([*flask_routes(), *fastapi_routes()]), "readings": readings()}, indent=1))
