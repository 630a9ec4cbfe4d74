"""A request for each row that changes a skill (MLflow 3.18). A skill has no owner."""

from .change import CHANGES, REFUSES, Change, Request, ask, at
from .world import Nothing, Things, fresh, new_tag

SOURCE = {"source_type": "git", "source": "https://example.com/skill.git", "ref": "main"}
# A name is free to be taken.
TAKEN = {"unowned": REFUSES, "missing": CHANGES}


def nobodys(request, *spends: str, **more) -> Change:
    return Change("nobody's", request, spends, **more)


def of_skills(organization: str) -> dict[str, list[Change]]:
    """The same for the skills of an organization, which have it in their path."""
    thing = "acme_skill" if organization else "skill"
    row = "/api/3.0/mlflow/skills/" + ("@{organization}/{name}" if organization else "{name}")

    def names(its: Things, **more: str) -> dict[str, str]:
        return {"name": getattr(its, thing), "organization": organization} | more

    def prepare(its: Things, path: str, **body) -> None:
        if not isinstance(its, Nothing):
            place = f"@{organization}/" if organization else ""
            its.server.ask(f"POST 3.0/mlflow/skills/{place}{getattr(its, thing)}/{path}", **body)

    def without_alias(its: Things, my: Things) -> Request:
        prepare(its, "aliases", alias="champion", version=1)
        return at(names(its, alias="champion"))

    def without_tag(its: Things, my: Things, of: str = "tags") -> Request:
        prepare(its, of, **(tag := new_tag()))
        return at(names(its, key=tag["key"], version="1"))

    version = "/versions/{version}"
    return {
        f"PATCH {row}": [nobodys(lambda its, my: at(names(its), description=fresh()))],
        f"DELETE {row}": [nobodys(lambda its, my: at(names(its)), thing)],
        f"POST {row}/aliases": [nobodys(lambda its, my: at(names(its), alias=fresh(), version=1))],
        f"DELETE {row}/aliases/{{alias}}": [nobodys(without_alias)],
        f"POST {row}/tags": [nobodys(lambda its, my: at(names(its), **new_tag()))],
        f"DELETE {row}/tags/{{*key}}": [nobodys(without_tag)],
        f"POST {row}/versions": [nobodys(lambda its, my: at(names(its), **SOURCE), thing, but={"missing": CHANGES})],
        f"PATCH {row}{version}": [nobodys(lambda its, my: at(names(its, version="1"), status="active"), thing)],
        f"DELETE {row}{version}": [nobodys(lambda its, my: at(names(its, version="1")), thing)],
        f"POST {row}{version}/tags": [nobodys(lambda its, my: at(names(its, version="1"), **new_tag()))],
        f"DELETE {row}{version}/tags/{{*key}}": [nobodys(lambda its, my: without_tag(its, my, "versions/1/tags"))],
    }


SKILLS = {
    **of_skills(""),
    **of_skills("acme"),
    "POST /api/3.0/mlflow/skills": [nobodys(lambda its, my: ask(name=its.skill), "skill", but=TAKEN)],
    "POST /api/3.0/mlflow/skills/bulk-register": [
        nobodys(
            lambda its, my: ask(organization="acme", skills=[SOURCE | {"name": its.acme_skill, "digest": "0" * 64}]),
            "acme_skill",
            but={"missing": CHANGES},
        )
    ],
}
