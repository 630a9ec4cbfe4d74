"""Keys as the gateway makes them, thousands at a time; the first one of a file is made by the gateway itself."""

from __future__ import annotations

import hashlib
import secrets
import string
import subprocess
import zlib
from pathlib import Path

BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase
BEGUN = "2026-01-01T00:00:00Z"


def make_key() -> str:
    """27 random characters, and a CRC-32 of all before it in six digits (src/auth/key.rs)."""
    key = "hk_test_" + "".join(secrets.choice(BASE62) for _ in range(27))
    rest, digits = zlib.crc32(key.encode()), ""
    for _ in range(6):
        rest, digit = divmod(rest, 62)
        digits = BASE62[digit] + digits
    return key + digits


def write_key_file(path: Path, binary: Path, count: int) -> list[str]:
    """A key file of so many keys, one user each; the keys themselves. That the gateway takes them proves them right."""
    command = [binary, "keys", "create", "--user", "ada", "--test", "--file", path]
    made = subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    keys = [made.stdout.strip()]
    with path.open("a") as file:
        for number in range(1, count):
            keys.append(make_key())
            digest = hashlib.sha256(keys[-1].encode()).hexdigest()
            file.write(f'\n[[keys]]\nid = "test_bench{number:07}"\nuser = "user-{number}"\n')
            file.write(f'digest = "sha256:{digest}"\ncreated_at = "{BEGUN}"\n')
    return keys
