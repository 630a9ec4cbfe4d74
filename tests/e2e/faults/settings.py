"""HG-S…: settings."""


def a_misspelt_setting(place):
    return place.check(HOKUSAI__SERVER__WORKER="2")


def no_mlflow_url(place):
    return place.check(MLFLOW_SERVER_URL="")


def a_number_that_is_none(place):
    return place.check(HOKUSAI__SERVER__WORKERS="many")


def metrics_where_the_gateway_listens(place):
    return place.check(HOKUSAI__SERVER__BIND="127.0.0.1:1", HOKUSAI__METRICS__BIND="127.0.0.1:1")


def a_settings_file_that_is_no_toml(place):
    (place.folder / "gateway.toml").write_text("[server\n")
    return place.check("--config", str(place.folder / "gateway.toml"))


def two_variables_for_one_setting(place):
    return place.check(HOKUSAI__MLFLOW__URL="http://127.0.0.1:5000", MLFLOW_SERVER_URL="http://127.0.0.1:5001")


def keys_over_plain_http(place):
    return place.check(HOKUSAI_AUTH_SERVICE_URL="http://auth.example.com")


def limits_that_are_off(place):
    return place.check(HOKUSAI__LIMITS__MODE="off")


def a_connection_that_outlasts_mlflows(place):
    return place.check(HOKUSAI__MLFLOW__KEEP_ALIVE="10s")


def an_auth_service_that_is_not_asked(place):
    return place.check(HOKUSAI__AUTH__MODE="key_file", HOKUSAI_AUTH_SERVICE_URL="https://auth.example.com")


def redis_without_a_pepper(place):
    return place.check(REDIS_URL="redis://127.0.0.1:6379", HOKUSAI_AUTH_SERVICE_URL="https://auth.example.com")


def a_webhook_that_readers_may_see(place):
    (place.folder / "more.routes").write_text("[read, workspace]\nGET /api/2.0/mlflow/webhooks\n")
    return place.check(HOKUSAI__MLFLOW__ROUTES_FILE=str(place.folder / "more.routes"))


def routes_that_are_none(place):
    (place.folder / "more.routes").write_text("what is this\n")
    return place.check(HOKUSAI__MLFLOW__ROUTES_FILE=str(place.folder / "more.routes"))


def a_variable_with_one_underscore(place):
    return place.check(HOKUSAI_MLFLOW__URL="http://127.0.0.1:5000")
