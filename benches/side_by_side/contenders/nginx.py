"""nginx: as a bare proxy, and as the gateway's work is done with it."""

from __future__ import annotations

from dataclasses import dataclass

from ..processes import Server, free_port, start
from ..testbed import Testbed
from ..upstream import as_root

CONFIGURATION = """
worker_processes {workers};
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/nginx.err;
{user}
events {{ worker_connections 16384; }}
http {{
    keepalive_requests 1000000000;
    client_max_body_size 0;
    client_body_temp_path {folder}/bodies;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    proxy_http_version 1.1;
    # Bodies are streamed; a response goes through memory, never through a file.
    proxy_request_buffering off;
    proxy_max_temp_file_size 0;
    {buffers}
    upstream mlflow {{ server {upstream}; keepalive 256; keepalive_requests 1000000000; }}
    {of_http}
    server {{
        listen 127.0.0.1:{port} backlog=1024;
        {of_server}
        location /api/mlflow/ {{
            # These are not inherited by a location that sets any itself.
            proxy_set_header Connection "";
            {of_location}
            proxy_pass http://mlflow/;
        }}
    }}
}}
"""

LARGE_BUFFERS = "proxy_buffers 16 64k; proxy_busy_buffers_size 128k; client_body_buffer_size 128k;"

# The fields are those of the gateway's line.
LOG = """
    log_format line escape=json '{{"timestamp":"$time_iso8601","level":"INFO","message":"request",'
        '"request_id":"$request_id","trace_id":"$request_id","method":"$request_method","path":"$uri",'
        '"client_ip":"$remote_addr","cache":"$cached","user_id":"$user_id","key_id":"$key_id","route":"mlflow",'
        '"upstream_ms":"$upstream_response_time","bytes_in":$request_length,"bytes_out":$body_bytes_sent,'
        '"status":$status,"latency_ms":"$request_time"}}';
    access_log {folder}/access.log line{buffered};
"""

AUTH_HTTP = """
    upstream auth {{ server {upstream}; keepalive 256; keepalive_requests 1000000000; }}
    proxy_cache_path {folder}/verdicts levels=1:2 keys_zone=verdicts:32m max_size=1g inactive=10m use_temp_path=off;
    limit_req_zone $http_authorization zone=keys:32m rate=1000000r/s;
    limit_req_status 429;
    {tuned}
""" + LOG

AUTH_SERVER = """
        location = /_auth {{
            internal;
            proxy_pass http://auth/api/v1/keys/validate;
            proxy_pass_request_body off;
            proxy_set_header Connection "";
            proxy_set_header Content-Length "";
            proxy_set_header X-Original-URI $request_uri;
            proxy_cache verdicts;
            proxy_cache_key $http_authorization;
            proxy_cache_valid 200 60s;
            proxy_cache_lock on;
            proxy_ignore_headers Cache-Control Expires Set-Cookie Vary;
        }}
"""

AUTH_LOCATION = """
            limit_req zone=keys burst=100000 nodelay;
            auth_request /_auth;
            auth_request_set $user_id $upstream_http_x_user_id;
            auth_request_set $key_id $upstream_http_x_key_id;
            auth_request_set $cached $upstream_cache_status;
            proxy_set_header Authorization "";
            proxy_set_header X-Request-Id $request_id;
            proxy_set_header X-Hokusai-User-Id $user_id;
            proxy_set_header X-Hokusai-Key-Id $key_id;
            proxy_set_header X-Forwarded-For $remote_addr;
            proxy_set_header X-Forwarded-Proto $scheme;
            proxy_set_header X-Forwarded-Host $http_host;
"""


@dataclass(frozen=True)
class Nginx:
    """`authenticates`: auth_request with its verdict cached, limit_req by key, a JSON access log."""

    name: str
    title: str
    authenticates: bool = False
    # The log written in blocks, and the files of the cache kept open: what an expert would add.
    tuned: bool = False
    # For streams, at the cost of memory for each of them.
    large_buffers: bool = False

    def start(self, bed: Testbed, workers: int) -> Server:
        folder, port = bed.folder_of(self.name), free_port()
        of_http, of_server, of_location = "access_log off;", "", ""
        if self.authenticates:
            buffered = " buffer=64k flush=1s" if self.tuned else ""
            tuned = "open_file_cache max=10000 inactive=60s; open_file_cache_valid 60s;" if self.tuned else ""
            of_http = AUTH_HTTP.format(folder=folder, upstream=bed.upstream.address, buffered=buffered, tuned=tuned)
            of_server, of_location = AUTH_SERVER.format(), AUTH_LOCATION
        configuration = CONFIGURATION.format(
            workers=workers,
            folder=folder,
            user=as_root(),
            buffers=LARGE_BUFFERS if self.large_buffers else "",
            port=port,
            upstream=bed.upstream.address,
            of_http=of_http,
            of_server=of_server,
            of_location=of_location,
        )
        path = folder / "nginx.conf"
        path.write_text(configuration)
        command = ["nginx", "-c", path, "-p", folder, "-e", folder / "nginx.err"]
        server = start(self.name, command, f"http://127.0.0.1:{port}/api/mlflow", folder, bed.cores.proxy)
        server.authorizations = [f"Bearer {key}" for key in bed.keys]
        server.authorization = server.authorizations[0]
        server.request_log = folder / "access.log" if self.authenticates else None
        return server
