"""Runs a script as in a pod: `in_a_pod.py ACCOUNT SCRIPT …`. ACCOUNT has the files that Kubernetes mounts for a service account."""

import runpy
import sys
from pathlib import Path

from mlflow.tracking.request_auth import kubernetes_request_auth_provider as provider

if __name__ == "__main__":
    account = Path(sys.argv[1])
    # Only root may write where they are in a pod.
    provider._SERVICE_ACCOUNT_TOKEN_PATH = account / "token"
    provider._SERVICE_ACCOUNT_NAMESPACE_PATH = account / "namespace"
    # A minute in MLflow: in a pod a token lives for ten at least, and is written anew after eight.
    provider._FILE_CACHE_TTL = 0.5
    sys.argv = sys.argv[2:]
    runpy.run_path(sys.argv[0], run_name="__main__")
