"""nginx with one worker. It adds X-Forwarded-* and, from its request id, a correlation id."""

from benchmarks.macro.peers.peer import Peer, Place, absent_command, printed_version

CONFIGURATION = """\
daemon off;
worker_processes 1;
worker_rlimit_nofile 20000;
pid {directory}/nginx.pid;
error_log {directory}/error.log;
events {{ worker_connections 20000; }}
http {{
    access_log off;
    keepalive_requests 1000000000;
    keepalive_timeout 1h;
    client_body_temp_path {directory}/client;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    upstream identity {{
        server 127.0.0.1:{upstream_port};
        keepalive 512;
        keepalive_requests 1000000000;
        keepalive_timeout 1h;
    }}
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        add_header X-Correlation-ID $request_id;
        location / {{
            proxy_pass http://identity;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $http_host;
            proxy_set_header X-Correlation-ID $request_id;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header X-Forwarded-Proto $scheme;
            proxy_set_header X-Forwarded-Host $http_host;
        }}
    }}
}}
"""


class Nginx(Peer):
    """The most used reverse proxy."""

    name = "nginx"

    def absent(self) -> str | None:
        """What is missing, if anything."""
        return absent_command("nginx", "nginx")

    def version(self) -> str:
        """``nginx -v``."""
        return printed_version(["nginx", "-v"])

    def configure(self, place: Place) -> list[str]:
        """One configuration file."""
        path = place.directory / "nginx.conf"
        path.write_text(
            CONFIGURATION.format(
                directory=place.directory, port=place.port, upstream_port=place.upstream_port
            )
        )
        return ["nginx", "-c", str(path)]
