"""The operator's commands, run as an operator runs them, and what they report."""

import json
import os
import subprocess
from dataclasses import dataclass


@dataclass
class Report:
    """What a command said of what it looked at."""

    code: int
    said: dict
    printed: str

    def failed(self) -> dict[str, str]:
        """Each check that failed, and all that was said about it."""
        failures = (check for check in self.said["checks"] if check["outcome"] == "failed")
        return {check["check"]: f"{check['found']} | {check['cause']} | {check['fix']}" for check in failures}

    def passed(self) -> set[str]:
        return {check["check"] for check in self.said["checks"] if check["outcome"] == "ok"}

    def codes(self) -> set[str]:
        """The code of everything that is wrong."""
        failed = [check for check in self.said.get("checks", []) if check["outcome"] == "failed"]
        return {told["code"] for told in failed + self.said.get("problems", []) + self.said.get("warnings", [])}

    def problem(self, key: str) -> str:
        """All that was said about a setting."""
        problems = (problem for problem in self.said["problems"] if problem["key"] == key)
        return " | ".join(f"{p['what']} | {p['write']} | {', '.join(p['variables'])}" for p in problems)


def run(binary, arguments: list[str], folder, environment: dict[str, str]) -> Report:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("HOKUSAI", "MLFLOW", "REDIS"))}
    command = [str(binary), *arguments, "--format", "json"]
    done = subprocess.run(
        command, cwd=folder, env=inherited | environment, capture_output=True, text=True, timeout=300, check=False
    )
    printed = done.stdout + done.stderr
    key = environment.get("HOKUSAI_API_KEY")
    assert key is None or key not in printed, "the key is printed"
    return Report(done.returncode, json.loads(done.stdout) if done.stdout else {}, printed)


def check(stack, *arguments: str, **settings: str) -> Report:
    """`check` with the key file of a stack."""
    environment = {
        "MLFLOW_SERVER_URL": stack.mlflow_url,
        "HOKUSAI__SERVER__BIND": "127.0.0.1:0",
        "HOKUSAI__METRICS__BIND": "127.0.0.1:0",
        "HOKUSAI__AUTH__KEY_FILE__PATH": str(stack.key_file),
    }
    return run(stack.binary, ["check", *arguments], stack.folder, environment | settings)


def doctor(stack, url: str, *arguments: str, key: str | None = None) -> Report:
    """`doctor` with a key of a stack."""
    return run(stack.binary, ["doctor", "--url", url, *arguments], stack.folder, {"HOKUSAI_API_KEY": key or stack.key})
