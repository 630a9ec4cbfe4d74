"""What a data scientist's script does in a day, written for MLflow and for no gateway: `training.py PREFIX MODEL`. Its names begin
with the prefix; the model is another's, and is copied."""

import sys
from concurrent.futures import ThreadPoolExecutor

import mlflow
import pandas
from mlflow.tracking import MlflowClient
from sklearn.linear_model import LinearRegression

THREADS, STEPS = 8, 20


def train_alone(client: MlflowClient, experiment_id: str, number: int) -> None:
    run_id = client.create_run(experiment_id, run_name=f"thread {number}").info.run_id
    client.log_param(run_id, "number", number)
    for step in range(STEPS):
        client.log_metric(run_id, "loss", 1.0 / (1 + step), step=step)
    client.set_tag(run_id, "done", "yes")
    client.set_terminated(run_id)


def main(prefix: str, anothers: str) -> None:
    client = MlflowClient()
    experiment_id = mlflow.set_experiment(f"{prefix}/training").experiment_id
    client.set_experiment_tag(experiment_id, "team", prefix)
    frame = pandas.DataFrame({"x": [1.0, 2.0, 3.0, 4.0], "y": [2.0, 4.0, 6.0, 8.0]})

    mlflow.sklearn.autolog()
    with mlflow.start_run() as run:
        model = LinearRegression().fit(frame[["x"]], frame["y"])
        mlflow.log_input(mlflow.data.from_pandas(frame, name="frame", targets="y"), context="training")
        mlflow.log_text("notes", "notes/readme.txt")
        with mlflow.start_run(nested=True):
            mlflow.log_metrics({"loss": 0.5, "accuracy": 0.9})
    mlflow.sklearn.autolog(disable=True)
    with mlflow.start_run(run_id=run.info.run_id):
        mlflow.log_param("resumed", "yes")
        logged = mlflow.sklearn.log_model(model, name="model", registered_model_name=f"{prefix}-model", input_example=frame[["x"]])
        mlflow.models.evaluate(logged.model_uri, frame, targets="y", model_type="regressor", evaluator_config={"log_explainer": False})
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(lambda number: train_alone(client, experiment_id, number), range(THREADS)))

    client.copy_model_version(f"models:/{prefix}-model/1", f"{prefix}-copy")
    client.copy_model_version(f"models:/{anothers}/1", f"{prefix}-adopted")
    client.set_registered_model_alias(f"{prefix}-model", "champion", "1")
    client.set_model_version_tag(f"{prefix}-model", "1", "checked", "yes")
    client.update_registered_model(f"{prefix}-model", description="trained")
    client.rename_registered_model(f"{prefix}-copy", f"{prefix}-renamed")
    mlflow.genai.register_prompt(f"{prefix}-prompt", "Hello {{name}}", tags={"language": "en"})
    mlflow.genai.register_prompt(f"{prefix}-prompt", "Good day {{name}}")
    mlflow.genai.set_prompt_alias(f"{prefix}-prompt", "production", 2)

    with mlflow.start_span("question") as span:
        span.set_inputs({"question": "a"})
        mlflow.update_current_trace(tags={"kind": "test"})
    mlflow.flush_trace_async_logging()
    mlflow.log_feedback(trace_id=span.trace_id, name="good", value=True)
    mlflow.log_expectation(trace_id=span.trace_id, name="answer", value="b")
    client.set_trace_tag(span.trace_id, "read", "yes")
    dataset = mlflow.genai.datasets.create_dataset(f"{prefix}-dataset", experiment_id=[experiment_id], tags={"stage": "test"})
    dataset.merge_records([{"inputs": {"question": "a"}, "expectations": {"answer": "b"}}])
    mlflow.genai.evaluate(data=[{"inputs": {"question": "a"}, "outputs": "b"}], scorers=[says_b])
    client.delete_traces(experiment_id, trace_ids=[span.trace_id])
    client.delete_run(run.info.run_id)
    client.restore_run(run.info.run_id)


@mlflow.genai.scorer
def says_b(outputs) -> bool:
    return outputs == "b"


if __name__ == "__main__":
    main(*sys.argv[1:])
