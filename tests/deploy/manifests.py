"""What kustomize makes of deploy/kubernetes, and what is asked of it more than once."""

import re
import subprocess
import tomllib

import yaml
from stack import ROOT

UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600}
DEFAULTS = tomllib.loads((ROOT / "config" / "default.toml").read_text())


class Manifests(list):
    """The objects of one kustomization."""

    def __init__(self, name: str) -> None:
        command = ["kubectl", "kustomize", str(ROOT / "deploy" / "kubernetes" / name)]
        self.text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        super().__init__(yaml.safe_load_all(self.text))

    def of_kind(self, kind: str) -> list[dict]:
        return [item for item in self if item["kind"] == kind]

    def get(self, kind: str, name: str) -> dict:
        (found,) = (item for item in self.of_kind(kind) if item["metadata"]["name"] == name)
        return found

    def pods(self) -> dict[str, dict]:
        """The template of each workload's pods, by its name."""
        return {item["metadata"]["name"]: item["spec"]["template"] for item in self if "template" in item.get("spec", {})}

    def environment(self, pod: str) -> dict[str, str]:
        """The variables of a pod's one container, but those from Secrets."""
        (container,) = self.pods()[pod]["spec"]["containers"]
        variables = {}
        for source in container.get("envFrom", []):
            variables |= self.get("ConfigMap", source["configMapRef"]["name"])["data"]
        return variables | {item["name"]: item["value"] for item in container.get("env", []) if "value" in item}

    def duration(self, key: str) -> float:
        """Seconds of a setting of the gateway: the ConfigMap's, else the default."""
        section, name = key.split(".")
        text = self.environment("hokusai-gateway").get(f"HOKUSAI__{section}__{name}".upper(), DEFAULTS[section][name])
        return seconds(text)


def seconds(text: str) -> float:
    """A duration as the settings and HAProxy write it."""
    number, unit = re.fullmatch(r"(\d+)([a-z]+)", text).groups()
    return int(number) * UNITS[unit]


def matches(selector: dict | None, labels: dict[str, str]) -> bool:
    """Whether a selector selects these labels. An empty one selects all; one with expressions is not understood."""
    selector = selector or {}
    assert set(selector) <= {"matchLabels"}, selector
    return selector.get("matchLabels", {}).items() <= labels.items()
