"""Trains a model, logs and registers it, and loads it back, with nothing but MLflow's own client.

Needs MLFLOW_TRACKING_URI (the gateway, such as http://127.0.0.1:8001/api/mlflow) and MLFLOW_TRACKING_TOKEN (a key).
"""

import mlflow
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split

NAME = "iris-classifier"


def main() -> None:
    features, species = load_iris(return_X_y=True)
    x_train, x_test, y_train, y_test = train_test_split(features, species, random_state=0)

    mlflow.set_experiment("gateway-demo")
    with mlflow.start_run() as run:
        model = LogisticRegression(max_iter=1000).fit(x_train, y_train)
        accuracy = model.score(x_test, y_test)
        mlflow.log_param("max_iter", 1000)
        mlflow.log_metric("accuracy", accuracy)
        logged = mlflow.sklearn.log_model(
            model,
            name="model",
            serialization_format="skops",
            registered_model_name=NAME,
            pip_requirements=["scikit-learn"],
        )

    version = logged.registered_model_version
    loaded = mlflow.sklearn.load_model(f"models:/{NAME}/{version}")
    assert (loaded.predict(x_test) == model.predict(x_test)).all()

    print(f"run        {run.info.run_id}, accuracy {accuracy:.3f}")
    print(f"registered {NAME}, version {version}")
    print(f"loaded     models:/{NAME}/{version} back: it predicts the same")


if __name__ == "__main__":
    main()
