"""Logs small artifacts from many threads at once, as a careless training does, and says how many came."""

import os
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from mlflow.tracking import MlflowClient

KIB = 1024


def main(threads: int, each: int) -> None:
    client = MlflowClient()
    run_id = client.create_run(client.create_experiment(f"noisy-{os.getpid()}")).info.run_id
    with tempfile.TemporaryDirectory() as folder:

        def log(thread: int) -> None:
            for number in range(each):
                path = Path(folder, f"{thread}-{number}.bin")
                path.write_bytes(os.urandom(256 * KIB))
                client.log_artifact(run_id, str(path))

        print("begins", flush=True)
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(log, range(threads)))
    print(len(client.list_artifacts(run_id)), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
