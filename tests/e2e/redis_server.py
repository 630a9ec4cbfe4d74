"""A real redis-server."""

import subprocess

from stack import free_port


def start_redis(stack, *arguments: str) -> tuple[subprocess.Popen, int]:
    """A redis-server among the processes of a stack, and its port."""
    port = free_port()
    command = ["redis-server", "--port", str(port), "--save", "", "--dir", str(stack.folder), *arguments]
    process = stack.start("redis", command, {})
    stack.wait_for_port(process, "redis", "127.0.0.1", port)
    return process, port
