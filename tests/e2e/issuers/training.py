"""A training, written for MLflow and for no gateway: `training.py EXPERIMENT SECONDS`. It takes so long at least."""

import sys
import time

from mlflow.tracking import MlflowClient


def main(experiment: str, seconds: float) -> None:
    client, end = MlflowClient(), time.monotonic() + seconds
    run_id = client.create_run(client.create_experiment(experiment)).info.run_id
    client.log_text(run_id, "notes", "notes.txt")
    step = 0
    while step == 0 or time.monotonic() < end:
        client.log_metric(run_id, "loss", 1.0 / (1 + step), step=step)
        step += 1
        time.sleep(0.02)
    client.log_text(run_id, str(step), "steps.txt")
    client.set_terminated(run_id)


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
