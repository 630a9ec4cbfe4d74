"""What MLflow has, in its database and on disk: the judge of who changed what."""

import contextlib
import hashlib
import sqlite3
from pathlib import Path


def kept_in(folder: Path) -> set:
    """All rows and all files of the MLflow of a stack."""
    with contextlib.closing(sqlite3.connect(f"file:{folder}/mlflow.db?mode=ro", uri=True)) as database:
        tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        rows = {(table, row) for table in tables for row in database.execute(f'SELECT * FROM "{table}"')}
    found = (path for path in Path(folder, "artifacts").rglob("*") if path.is_file())
    return rows | {(str(path), hashlib.sha256(path.read_bytes()).hexdigest()) for path in found}
