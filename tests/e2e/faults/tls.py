"""HG-T…: what nginx says to a client that shows no certificate, or another's."""

from front import Authority


def _trusting(place, url: str):
    return place.probe(MLFLOW_SERVER_URL=url, HOKUSAI__MLFLOW__TLS__CA=str(place.authority.certificate))


def a_server_that_wants_a_certificate(place):
    wants = f"ssl_verify_client on; ssl_client_certificate {place.authority.certificate};"
    certificate, key = place.authority.issue("IP:127.0.0.1")
    inside = f"ssl_certificate {certificate}; ssl_certificate_key {key}; {wants} location / {{ root /none; }}"
    return _trusting(place, place.nginx(inside, "127.0.0.1:{port} ssl"))


def an_auth_service_behind_nginx_that_wants_a_certificate(place):
    wants = f"ssl_verify_client on; ssl_client_certificate {place.authority.certificate};"
    tls = {"HOKUSAI__AUTH__SERVICE__TLS__CA": str(place.authority.certificate)}
    return place.probe(HOKUSAI_AUTH_SERVICE_URL=place.nginx_over_tls(more=wants), **tls)


def _showing(place, url: str, certificate, key):
    tls = {"HOKUSAI__MLFLOW__TLS__CERT": str(certificate), "HOKUSAI__MLFLOW__TLS__KEY": str(key)}
    return place.probe(MLFLOW_SERVER_URL=url, HOKUSAI__MLFLOW__TLS__CA=str(place.authority.certificate), **tls)


def a_certificate_of_ours_that_nginx_refuses(place):
    wants = f"ssl_verify_client on; ssl_client_certificate {place.authority.certificate};"
    other = Authority(place.folder / "another").issue("DNS:gateway")
    return _showing(place, place.nginx_over_tls(more=wants), *other)
