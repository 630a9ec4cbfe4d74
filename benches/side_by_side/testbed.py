"""What a contender is started in: a folder, cores, the upstream, the gateway's binary and the keys that are known."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from .cores import Cores, share_out
from .keys import write_key_file
from .processes import raise_open_files
from .upstream import Upstream

ROOT = Path(__file__).resolve().parents[2]


def gateway_binary() -> Path:
    return Path(os.environ.get("HOKUSAI_GATEWAY", ROOT / "target" / "release" / "hokusai-gateway")).absolute()


@dataclass
class Testbed:
    """A context manager: it starts the upstream, and stops it."""

    workers: int = 1
    key_count: int = 1
    binary: Path = field(default_factory=gateway_binary)

    def __enter__(self) -> Testbed:
        raise_open_files()
        self.cores: Cores = share_out(self.workers)
        self._temporary = tempfile.TemporaryDirectory(prefix="side-by-side-")
        self.folder = Path(self._temporary.name)
        # Workers of nginx are another user.
        self.folder.chmod(0o755)
        self.key_file = self.folder / "keys.toml"
        self.keys = write_key_file(self.key_file, self.binary, self.key_count)
        self.upstream = Upstream(self.folder, self.cores.rest)
        return self

    def __exit__(self, *_: object) -> None:
        self.upstream.stop()
        self._temporary.cleanup()

    def folder_of(self, name: str) -> Path:
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        folder.chmod(0o755)
        return folder
