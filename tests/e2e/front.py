"""What stands before servers in real deployments: nginx as a load balancer, and certificates."""

import os
import socket
import subprocess
from datetime import datetime, timedelta, timezone
from pathlib import Path

from stack import free_port

AUTHORITY = """
[ca]
default_ca = authority
[authority]
dir = {folder}
new_certs_dir = {folder}
database = {folder}/index
serial = {folder}/serial
default_md = sha256
policy = any
unique_subject = no
copy_extensions = copy
[any]
commonName = supplied
"""


class Authority:
    """A certificate authority of a test's own."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder, self.certificate, self.key = folder, folder / "ca.pem", folder / "ca-key.pem"
        (folder / "index").touch()
        (folder / "serial").write_text("01\n")
        (folder / "openssl.cnf").write_text(AUTHORITY.format(folder=folder))
        subject = ["-subj", "/CN=an authority of a test", "-days", "2"]
        self._openssl("req", "-x509", "-nodes", "-newkey", "rsa:2048", *subject, "-keyout", self.key, "-out", self.certificate)

    def issue(self, names: str, days: int = 30) -> tuple[Path, Path]:
        """A certificate for `names` (as openssl writes them), until so many days from now, and its key."""
        request, number = self.folder / "request.pem", len(list(self.folder.glob("server-*.pem")))
        certificate, key = self.folder / f"server-{number}.pem", self.folder / f"key-{number}.pem"
        extensions = ["-subj", "/CN=server", "-addext", f"subjectAltName={names}"]
        self._openssl("req", "-new", "-nodes", "-newkey", "rsa:2048", *extensions, "-keyout", key, "-out", request)
        end = datetime.now(timezone.utc) + timedelta(days=days)
        dates = [f"{moment:%Y%m%d%H%M%SZ}" for moment in (end - timedelta(days=60), end)]
        authority = ["-config", self.folder / "openssl.cnf", "-cert", self.certificate, "-keyfile", self.key]
        dates = ["-startdate", dates[0], "-enddate", dates[1]]
        self._openssl("ca", "-batch", "-notext", *authority, *dates, "-in", request, "-out", certificate)
        return certificate, key

    def intermediate(self) -> "Authority":
        """One that this one vouches for."""
        below = Authority(self.folder / f"below-{len(list(self.folder.glob('below-*')))}")
        request = below.folder / "ca-request.pem"
        self._openssl("req", "-new", "-key", below.key, "-subj", "/CN=an intermediate of a test", "-out", request)
        extensions = below.folder / "ca.cnf"
        extensions.write_text("basicConstraints=critical,CA:TRUE\nkeyUsage=keyCertSign\n")
        signed = ["-CA", self.certificate, "-CAkey", self.key, "-CAcreateserial", "-days", "2", "-extfile", extensions]
        self._openssl("x509", "-req", "-in", request, *signed, "-out", below.certificate)
        return below

    @staticmethod
    def _openssl(*arguments: object) -> None:
        subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


NGINX = """
{user}
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/bodies;
    proxy_temp_path {folder}/proxied;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    client_max_body_size 0;
    proxy_request_buffering off;
    proxy_buffering off;
    proxy_http_version 1.1;
    {around}
    server {{
        listen {listen};
        {inside}
    }}
}}
"""


def start_nginx(stack, inside: str, listen: str = "127.0.0.1:{port}", around: str = "") -> int:
    """nginx with this inside its one server, and that around it; the port that it listens on."""
    port = free_port()
    folder = stack.folder / f"nginx-{port}"
    folder.mkdir(parents=True)
    listen = listen.format(port=port)
    # Its workers must read what the test writes.
    user = "user root;" if os.geteuid() == 0 else ""
    (folder / "nginx.conf").write_text(NGINX.format(user=user, folder=folder, listen=listen, inside=inside, around=around.format(folder=folder)))
    process = stack.start("nginx", ["nginx", "-c", str(folder / "nginx.conf"), "-g", "daemon off;", "-e", str(folder / "error.log")], {})
    host, port = listen.split()[0].rsplit(":", 1)
    stack.wait_for_port(process, "nginx", host.strip("[]"), int(port))
    return int(port)


def to(url: str) -> str:
    """A location's inside that leads to `url`, as load balancers do."""
    return f"proxy_pass {url}; proxy_set_header Host $http_host; proxy_set_header X-Forwarded-For $remote_addr;"


# A loopback address whose well-known ports no other program uses.
WELL_KNOWN = "127.0.0.77"


def may_listen() -> bool:
    """Whether ports 80 and 443 may be used there."""
    try:
        for port in (80, 443):
            socket.create_server((WELL_KNOWN, port)).close()
    except OSError:
        return False
    return True
