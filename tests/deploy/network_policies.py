"""What NetworkPolicies allow, as networking.k8s.io/v1 defines it, for the fields that ours use."""

from dataclasses import dataclass, field

from manifests import matches

RULES = {"Ingress": ("ingress", "from"), "Egress": ("egress", "to")}


@dataclass
class Peer:
    """A pod, or whatever is outside the cluster: that has no namespace."""

    namespace: str | None = None
    labels: dict[str, str] = field(default_factory=dict)


def is_allowed(policies: list[dict], source: Peer, target: Peer, port: int, protocol: str = "TCP") -> bool:
    """Whether a connection passes: the source may make it, and the target may take it."""
    may_make = _passes(policies, "Egress", source, target, port, protocol)
    return may_make and takes(policies, target, source, port, protocol)


def takes(policies: list[dict], target: Peer, source: Peer, port: int, protocol: str = "TCP") -> bool:
    """Whether the target may take it, whatever the source may do."""
    return _passes(policies, "Ingress", target, source, port, protocol)


def _passes(policies: list[dict], direction: str, here: Peer, there: Peer, port: int, protocol: str) -> bool:
    in_force = [
        policy
        for policy in policies
        if policy["metadata"]["namespace"] == here.namespace
        and matches(policy["spec"]["podSelector"], here.labels)
        and direction in policy["spec"]["policyTypes"]
    ]
    # A pod that no policy selects may do everything; policies only add to each other.
    if not in_force:
        return True
    rules, peers = RULES[direction]
    return any(
        _is_peer(rule.get(peers), there, policy["metadata"]["namespace"]) and _is_port(rule.get("ports"), port, protocol)
        for policy in in_force
        for rule in policy["spec"].get(rules, [])
    )


def _is_peer(selectors: list[dict] | None, peer: Peer, namespace: str) -> bool:
    return not selectors or any(_selects(selector, peer, namespace) for selector in selectors)


def _selects(selector: dict, peer: Peer, namespace: str) -> bool:
    assert selector and set(selector) <= {"namespaceSelector", "podSelector"}, selector
    if peer.namespace is None:
        return False
    if "namespaceSelector" in selector:
        is_there = matches(selector["namespaceSelector"], {"kubernetes.io/metadata.name": peer.namespace})
    else:
        is_there = peer.namespace == namespace
    return is_there and matches(selector.get("podSelector"), peer.labels)


def _is_port(ports: list[dict] | None, port: int, protocol: str) -> bool:
    assert all(isinstance(allowed.get("port"), int) and "endPort" not in allowed for allowed in ports or []), ports
    return not ports or any(
        allowed["port"] == port and allowed.get("protocol", "TCP") == protocol for allowed in ports
    )
