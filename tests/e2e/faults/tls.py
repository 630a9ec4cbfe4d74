"""HG-T…: TLS and certificates."""

import subprocess

from front import Authority
from stack import free_port


def _trusting(place, url: str):
    return place.probe(MLFLOW_SERVER_URL=url, HOKUSAI__MLFLOW__TLS__CA=str(place.authority.certificate))


def a_certificate_that_has_expired(place):
    return _trusting(place, place.nginx_over_tls(days=-3))


def a_certificate_of_the_future(place):
    return _trusting(place, place.nginx_over_tls(days=90))


def a_certificate_for_another_name(place):
    return _trusting(place, place.nginx_over_tls("DNS:mlflow.example.com"))


def a_certificate_of_nobody_known(place):
    return place.probe(MLFLOW_SERVER_URL=place.nginx_over_tls())


def a_certificate_of_an_authority(place):
    certificate, key = place.folder / "own.pem", place.folder / "own-key.pem"
    command = ["openssl", "req", "-x509", "-nodes", "-newkey", "rsa:2048", "-days", "2", "-subj", "/CN=127.0.0.1"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True)
    inside = f"ssl_certificate {certificate}; ssl_certificate_key {key}; return 200 OK;"
    url = place.nginx(inside, "127.0.0.1:{port} ssl")
    return place.probe(MLFLOW_SERVER_URL=url, HOKUSAI__MLFLOW__TLS__CA=str(certificate))


def a_server_without_tls(place):
    return place.probe(MLFLOW_SERVER_URL=place.stack.mlflow_url.replace("http://", "https://"))


def a_server_with_tls(place):
    return place.probe(MLFLOW_SERVER_URL=place.nginx_over_tls().replace("https://", "http://"))


def a_server_that_wants_a_certificate(place):
    wants = f"ssl_verify_client on; ssl_client_certificate {place.authority.certificate};"
    certificate, key = place.authority.issue("IP:127.0.0.1")
    inside = f"ssl_certificate {certificate}; ssl_certificate_key {key}; {wants} location / {{ root /none; }}"
    return _trusting(place, place.nginx(inside, "127.0.0.1:{port} ssl"))


def a_certificate_that_is_none(place):
    certificate, key = place.authority.issue("IP:127.0.0.1")
    certificate.write_text("no certificate\n")
    return place.check(HOKUSAI__SERVER__TLS__CERT=str(certificate), HOKUSAI__SERVER__TLS__KEY=str(key))


def a_renewed_certificate_that_is_none(place):
    certificate, key = place.authority.issue("IP:127.0.0.1")
    place.serve(HOKUSAI__SERVER__TLS__CERT=str(certificate), HOKUSAI__SERVER__TLS__KEY=str(key))
    certificate.write_text("no certificate\n")
    return place.logged


def a_certificate_that_ends_soon(place):
    certificate, key = place.authority.issue("IP:127.0.0.1", days=3)
    return place.check(HOKUSAI__SERVER__TLS__CERT=str(certificate), HOKUSAI__SERVER__TLS__KEY=str(key))


def a_machine_without_authorities(place):
    (place.folder / "none").mkdir()
    (place.folder / "none.pem").touch()
    nowhere = {"SSL_CERT_FILE": str(place.folder / "none.pem"), "SSL_CERT_DIR": str(place.folder / "none")}
    return place.check(MLFLOW_SERVER_URL="https://mlflow.example.com", **nowhere)


def _own(place, certificate, key):
    return place.check(HOKUSAI__SERVER__TLS__CERT=str(certificate), HOKUSAI__SERVER__TLS__KEY=str(key))


def a_certificate_of_our_own_that_has_expired(place):
    return _own(place, *place.authority.issue("IP:127.0.0.1", days=-3))


def a_certificate_of_our_own_that_is_of_the_future(place):
    return _own(place, *place.authority.issue("IP:127.0.0.1", days=90))


def a_key_of_another_certificate(place):
    (certificate, _), (_, key) = place.authority.issue("IP:127.0.0.1"), place.authority.issue("IP:127.0.0.1")
    return _own(place, certificate, key)


def _openssl(place, *arguments: str) -> str:
    """An `openssl s_server` with a certificate of the authority's."""
    (certificate, key), port = place.authority.issue("IP:127.0.0.1"), free_port()
    command = ["openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-cert", str(certificate), "-key", str(key), "-www"]
    process = place.own.start("openssl", [*command, *arguments], {})
    place.own.wait_for_port(process, "openssl", "127.0.0.1", port)
    return f"https://127.0.0.1:{port}"


def _verifying(place, *arguments: str) -> str:
    return _openssl(place, "-Verify", "1", "-verify_return_error", "-CAfile", str(place.authority.certificate), *arguments)


def a_server_that_wants_a_certificate_by_tls_1_2(place):
    return _trusting(place, _verifying(place, "-tls1_2"))


def an_auth_service_that_wants_a_certificate(place):
    tls = {"HOKUSAI__AUTH__SERVICE__TLS__CA": str(place.authority.certificate)}
    return place.probe(HOKUSAI_AUTH_SERVICE_URL=_verifying(place), **tls)


def an_auth_service_behind_nginx_that_wants_a_certificate(place):
    wants = f"ssl_verify_client on; ssl_client_certificate {place.authority.certificate};"
    tls = {"HOKUSAI__AUTH__SERVICE__TLS__CA": str(place.authority.certificate)}
    return place.probe(HOKUSAI_AUTH_SERVICE_URL=place.nginx_over_tls(more=wants), **tls)


def _showing(place, url: str, certificate, key):
    tls = {"HOKUSAI__MLFLOW__TLS__CERT": str(certificate), "HOKUSAI__MLFLOW__TLS__KEY": str(key)}
    return place.probe(MLFLOW_SERVER_URL=url, HOKUSAI__MLFLOW__TLS__CA=str(place.authority.certificate), **tls)


def a_certificate_of_ours_by_another_authority(place):
    return _showing(place, _verifying(place), *Authority(place.folder / "another").issue("DNS:gateway"))


def a_certificate_of_ours_that_a_server_finds_expired(place):
    return _showing(place, _verifying(place), *place.authority.issue("DNS:gateway", days=-3))


def a_certificate_of_ours_that_nginx_refuses(place):
    wants = f"ssl_verify_client on; ssl_client_certificate {place.authority.certificate};"
    other = Authority(place.folder / "another").issue("DNS:gateway")
    return _showing(place, place.nginx_over_tls(more=wants), *other)


def a_server_of_tls_1_1(place):
    return _trusting(place, _openssl(place, "-tls1_1", "-cipher", "ALL:@SECLEVEL=0"))


def a_server_of_ciphers_without_forward_secrecy(place):
    return _trusting(place, _openssl(place, "-tls1_2", "-cipher", "AES128-SHA"))


def a_file_that_holds_a_key_in_a_certificates_place(place):
    _, key = place.authority.issue("IP:127.0.0.1")
    return _own(place, key, key)


def a_server_without_its_intermediate(place):
    certificate, key = place.authority.intermediate().issue("IP:127.0.0.1")
    inside = f"ssl_certificate {certificate}; ssl_certificate_key {key}; return 200 OK;"
    return _trusting(place, place.nginx(inside, "127.0.0.1:{port} ssl"))
