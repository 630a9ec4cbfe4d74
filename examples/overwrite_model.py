"""Tries to overwrite the model of examples/register_model.py with the key of another user, which must be refused.

Needs MLFLOW_TRACKING_URI (the gateway, such as http://127.0.0.1:8001/api/mlflow) and MLFLOW_TRACKING_TOKEN (the other key).
The exit status is 0 if it is refused, and 1 if it is not.
"""

import sys

from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient
from register_model import NAME


def main() -> int:
    client = MlflowClient()
    version = client.get_registered_model(NAME).latest_versions[0]
    print(f"read       {version.name}, version {version.version}: reading is for everybody with a key")
    try:
        added = client.create_model_version(NAME, f"models:/{NAME}/{version.version}")
    except MlflowException as error:
        print(f"refused    {error}")
        # Any other error is not the refusal of the gateway.
        return 0 if f'"{NAME}" belongs to ' in str(error) else 1
    print(f"NOT refused: version {added.version} of {NAME} is another user's")
    return 1


if __name__ == "__main__":
    sys.exit(main())
