"""The life of a skill by MLflow's own client (3.18): made, uploaded, tagged, pulled, taken away."""

import os
import tarfile
import tempfile
from pathlib import Path

from mlflow.exceptions import RestException
from mlflow.genai.skill_content.pull import pull_skill_version
from mlflow.tracking import MlflowClient

# The server refuses more than 25 MiB; the gateway reads no JSON of more than 1.
CONTENT = os.urandom(3 * 1024 * 1024)
SKILL_MD = "---\nname: {name}\ndescription: reviews\n---\nRead it twice.\n"
KEY = "team/owner: of it"


def archive(folder: str, name: str) -> str:
    root = Path(folder, "skill")
    (root / "data").mkdir(parents=True)
    (root / "SKILL.md").write_text(SKILL_MD.format(name=name))
    (root / "data" / "weights.bin").write_bytes(CONTENT)
    packed = Path(folder, "skill.tar.gz")
    with tarfile.open(packed, "w:gz") as tar:
        for file in sorted(root.rglob("*")):
            tar.add(file, file.relative_to(root), recursive=False)
    return str(packed)


def live(client: MlflowClient, name: str, organization: str) -> None:
    of = {"name": name, "organization": organization}
    with tempfile.TemporaryDirectory() as folder:
        client.create_skill(**of, description="reviews")
        uploaded = client.create_skill_version(**of, source=archive(folder, name))
        assert uploaded.version == 1 and str(uploaded.source_type) == "mlflow", uploaded
        pulled = pull_skill_version(uploaded, Path(folder, "pulled"))
        assert Path(pulled, "data", "weights.bin").read_bytes() == CONTENT
    remote = client.create_skill_version(**of, source="https://example.com/skill.git")
    assert remote.version == 2
    client.set_skill_tag(**of, key=KEY, value="ada")
    client.set_skill_version_tag(**of, version=1, key=KEY, value="ada")
    assert client.get_skill(**of).tags == {KEY: "ada"}
    client.delete_skill_tag(**of, key=KEY)
    client.delete_skill_version_tag(**of, version=1, key=KEY)
    assert client.get_skill(**of).tags == {} == client.get_skill_version(**of, version=1).tags
    client.set_skill_alias(**of, alias="champion", version=1)
    assert client.get_skill_version_by_alias(**of, alias="champion").version == 1
    client.delete_skill_alias(**of, alias="champion")
    client.update_skill(**of, description="reviews more")
    assert [skill.name for skill in client.search_skills()] == [name]
    assert {version.version for version in client.search_skill_versions(**of)} == {1, 2}
    for version in (1, 2):
        client.update_skill_version(**of, version=version, status="deprecated")
        client.delete_skill_version(**of, version=version)
    client.delete_skill(**of)
    try:
        client.get_skill(**of)
    except RestException as error:
        assert error.error_code == "RESOURCE_DOES_NOT_EXIST", error
    else:
        raise AssertionError("it is still there")


def main() -> None:
    client = MlflowClient()
    for name, organization in [("reviewer", ""), ("reviewer", "acme.dev"), ("bulk-register", "")]:
        live(client, name, organization)


if __name__ == "__main__":
    main()
