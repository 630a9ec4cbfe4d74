"""What `terraform show -json` says of a plan: resources, their values, and the load balancer's rules.

After "JSON Output Format" (developer.hashicorp.com/terraform/internals/json-format).
"""

from collections.abc import Iterator

from alb import Condition, LoadBalancer, Rule

KINDS = ["path_pattern", "host_header", "http_request_method"]


class Plan:
    def __init__(self, shown: dict) -> None:
        self.shown = shown

    def resources(self, kind: str) -> dict[str, dict]:
        """The planned values of all resources of a kind, by their addresses."""
        return {one["address"]: one["values"] for one in self._planned(self.shown["planned_values"]["root_module"]) if one["type"] == kind}

    def the(self, kind: str, module: str = "") -> dict:
        """The only resource of a kind, in a module if one is named."""
        found = {address: values for address, values in self.resources(kind).items() if address.startswith(module)}
        assert len(found) == 1, f"{len(found)} resources {kind} in {module or 'the plan'}: {', '.join(found)}"
        return next(iter(found.values()))

    def changes(self) -> list[dict]:
        """What applying it would do, apart from nothing."""
        return [one for one in self.shown["resource_changes"] if one["change"]["actions"] not in (["no-op"], ["read"])]

    def load_balancer(self) -> LoadBalancer:
        """The rules of the HTTPS listener, with the names of their target groups."""
        return LoadBalancer([self._rule(address, values) for address, values in self.resources("aws_lb_listener_rule").items()])

    def _planned(self, module: dict) -> Iterator[dict]:
        yield from module.get("resources", [])
        for child in module.get("child_modules", []):
            yield from self._planned(child)

    def _rule(self, address: str, values: dict) -> Rule:
        [action] = values["action"]
        if action["type"] == "forward":
            target = self._target_group(address, action.get("target_group_arn"))
        else:
            target = action["type"]
        conditions = [one for block in values["condition"] for one in conditions_of(address, block)]
        return Rule(address, values["priority"], target, tuple(conditions))

    def _target_group(self, address: str, arn: str | None) -> str:
        """The name of a target group, by its ARN, or by what the configuration refers to where the plan does not know it yet."""
        if arn:
            return arn.split(":targetgroup/")[1].split("/")[0]
        *modules, kind, name = without_keys(address).removeprefix("module.").replace(".module.", ".").split(".")
        module = self.shown["configuration"]["root_module"]
        for one in modules:
            module = module["module_calls"][one]["module"]
        [resource] = [one for one in module["resources"] if one["address"] == f"{kind}.{name}"]
        references = resource["expressions"]["action"][0]["target_group_arn"]["references"]
        groups = [one for one in references if one.startswith("aws_lb_target_group.") and one.count(".") == 1]
        if len(groups) != 1:
            raise LookupError(f"{address}: which target group it leads to is known only after the apply ({', '.join(references)})")
        prefix = "".join(f"module.{one}." for one in modules)
        return self.resources("aws_lb_target_group")[prefix + groups[0]]["name"]


def without_keys(address: str) -> str:
    """`module.a[0].kind.name["key"]` as the configuration calls it."""
    while "[" in address:
        before, rest = address.split("[", 1)
        address = before + rest.split("]", 1)[1]
    return address


def conditions_of(address: str, block: dict) -> Iterator[Condition]:
    for kind, blocks in block.items():
        if not blocks:
            continue
        if kind == "query_string":
            yield Condition(kind, tuple(one["value"] for one in blocks), tuple(one["key"] or None for one in blocks))
        elif kind in KINDS:
            yield Condition(kind, tuple(blocks[0]["values"]))
        else:
            raise NotImplementedError(f"{address}: a condition on {kind} is not simulated; add it to alb.Condition")
