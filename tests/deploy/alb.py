"""How an Application Load Balancer chooses a target: reads the rules of a Terraform plan, and answers requests as it would.

After "Listener rules for your Application Load Balancer", "Condition types for listener rules" and "Quotas for your
Application Load Balancers" (docs.aws.amazon.com/elasticloadbalancing/latest/application/: listener-rules.html,
rule-condition-types.html, load-balancer-limits.html). What it does not know it refuses, rather than to guess.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import pairwise

DEFAULT = "default"
# Quotas that AWS raises for nobody. Its pages name five or six wildcards; five are right by either.
VALUES_A_CONDITION, VALUES_A_RULE, WILDCARDS_A_RULE, PATTERN_LENGTH = 3, 5, 5, 128
PRIORITIES = range(1, 50_001)
PATTERN = re.compile(r"""[A-Za-z0-9_.$/~"'@:+&*?-]+""")


class Refused(ValueError):
    """What the load balancer would not take."""


@dataclass(frozen=True)
class Request:
    path: str
    method: str = "GET"
    host: str = "mlflow.example.com"
    query: tuple[tuple[str, str], ...] = ()


def matches(pattern: str, text: str) -> bool:
    """The whole of `text`: `*` is any number of characters, slashes included, `?` exactly one; case counts."""
    # fnmatch knows sets in brackets, too, which are characters as any to the load balancer.
    return fnmatchcase(text, pattern.replace("[", "[[]"))


@dataclass(frozen=True)
class Condition:
    """One condition: it holds if one of its values matches."""

    kind: str
    values: tuple[str, ...]
    # Of query strings: the key for each value, or None for any.
    keys: tuple[str | None, ...] = ()

    def holds(self, request: Request) -> bool:
        match self.kind:
            case "path_pattern":
                return any(matches(value, request.path) for value in self.values)
            case "host_header":
                return any(matches(value.lower(), request.host.lower()) for value in self.values)
            case "http_request_method":
                return request.method in self.values
            case "query_string":
                # Not case-sensitive, keys as little as values.
                return any(
                    (key is None or matches(key.lower(), name.lower())) and matches(value.lower(), text.lower())
                    for key, value in zip(self.keys, self.values, strict=True)
                    for name, text in request.query
                )
        raise Refused(f"a condition on {self.kind} is not simulated: add it to Condition.holds")

    def covers(self, other: "Condition") -> bool:
        """Whether this one holds wherever `other` does."""
        if self.kind != other.kind:
            return False
        if self.kind == "query_string":
            return set(zip(other.keys, other.values, strict=True)) <= set(zip(self.keys, self.values, strict=True))
        fold = str.lower if self.kind == "host_header" else str
        return all(any(covers(fold(mine), fold(value)) for mine in self.values) for value in other.values)


@dataclass(frozen=True)
class Rule:
    name: str
    priority: int
    target: str
    conditions: tuple[Condition, ...]

    def holds(self, request: Request) -> bool:
        return all(condition.holds(request) for condition in self.conditions)

    def paths(self) -> tuple[str, ...]:
        """Its path patterns; without a condition on paths it has them all."""
        patterns = [condition.values for condition in self.conditions if condition.kind == "path_pattern"]
        return patterns[0] if patterns else ("*",)

    def beyond_paths(self) -> list[Condition]:
        return [condition for condition in self.conditions if condition.kind != "path_pattern"]

    def refusals(self) -> Iterator[str]:
        """What AWS would say against it."""
        if self.priority not in PRIORITIES:
            yield f"{self.name}: the priority {self.priority} is none; write 1 to 50000"
        if not self.conditions:
            yield f"{self.name}: no condition; a rule has one at least"
        for condition in self.conditions:
            if len(condition.values) > VALUES_A_CONDITION:
                yield f"{self.name}: {len(condition.values)} values in one condition; three at most, write a second rule"
            if condition.kind == "path_pattern":
                for value in condition.values:
                    if len(value) > PATTERN_LENGTH or not PATTERN.fullmatch(value):
                        yield f"{self.name}: {value!r} is no path pattern: 128 characters at most, of A-Z a-z 0-9 _-.$/~\"'@:+&*?"
        if (values := sum(len(condition.values) for condition in self.conditions)) > VALUES_A_RULE:
            yield f"{self.name}: {values} values; a rule has five at most, write a second one"
        wildcards = sum(value.count("*") + value.count("?") for c in self.conditions for value in (*c.values, *filter(None, c.keys)))
        if wildcards > WILDCARDS_A_RULE:
            yield f"{self.name}: {wildcards} wildcards; a rule has five at most, write a second one"


def covers(wide: str, narrow: str) -> bool:
    """Whether every text that `narrow` matches is matched by `wide`.

    Walks both as automata: the states of `wide` that can be reached by some text of `narrow`. Characters that stand in
    neither behave alike, so one stands for all of them.
    """
    letters = {*wide, *narrow} - {"*", "?"} | {"\0"}
    start = (0, frozenset(closure(wide, {0})))
    seen, todo = {start}, [start]
    while todo:
        position, states = todo.pop()
        if position == len(narrow):
            if len(wide) not in states:
                return False
            continue
        symbol = narrow[position]
        following = [(position + 1, states)] if symbol == "*" else []
        for letter in letters if symbol in "*?" else {symbol}:
            following.append((position + (symbol != "*"), frozenset(closure(wide, step(wide, states, letter)))))
        for state in following:
            if state not in seen:
                seen.add(state)
                todo.append(state)
    return True


def step(pattern: str, states: frozenset[int], letter: str) -> set[int]:
    reached = set()
    for state in states:
        if state < len(pattern):
            if pattern[state] == "*":
                reached.add(state)
            elif pattern[state] in ("?", letter):
                reached.add(state + 1)
    return reached


def closure(pattern: str, states: set[int]) -> set[int]:
    """With what is reached without a character: `*` may be empty."""
    closed = set(states)
    for state in sorted(states):
        while state < len(pattern) and pattern[state] == "*":
            state += 1
            closed.add(state)
    return closed


class LoadBalancer:
    def __init__(self, rules: list[Rule]) -> None:
        """Refuses, with all reasons at once, what AWS would refuse."""
        self.rules = sorted(rules, key=lambda rule: rule.priority)
        refusals = [refusal for rule in self.rules for refusal in rule.refusals()]
        refusals += [
            f"{one.name} and {two.name} both have the priority {one.priority}; write a priority of its own for each"
            for one, two in pairwise(self.rules)
            if one.priority == two.priority
        ]
        if refusals:
            raise Refused("\n".join(refusals))

    def target(self, path: str, **more) -> str:
        """Where a request goes: the first rule that holds has it. Paths are compared as they are, without the query."""
        request = Request(path, **more)
        return next((rule.target for rule in self.rules if rule.holds(request)), DEFAULT)

    def shadowed(self) -> list[str]:
        """Rules that can never be reached, for every path of theirs is an earlier rule's."""
        return [
            f"{rule.name} (priority {rule.priority}) is never reached: {', '.join(sorted(by))} before it"
            for rule in self.rules
            if (taken := self._taken(rule)).keys() == set(rule.paths()) and (by := set(taken.values()))
        ]

    def shadowed_patterns(self) -> list[str]:
        """Path patterns that an earlier rule with another target takes away, in whole or in part."""
        found = []
        for position, rule in enumerate(self.rules):
            for earlier in self.rules[:position]:
                if earlier.target == rule.target or earlier.beyond_paths() and not self._as_wide(earlier, rule):
                    continue
                for pattern in rule.paths():
                    for wide in earlier.paths():
                        if covers(wide, pattern):
                            found.append(f"{pattern} of {rule.name} is {earlier.name}'s, by {wide}")
                        elif covers(pattern, wide):
                            found.append(f"{wide} of {rule.name}'s {pattern} is {earlier.name}'s")
        return found

    def _as_wide(self, earlier: Rule, rule: Rule) -> bool:
        """Whether `earlier` asks for nothing but paths that `rule` does not ask for as well."""
        return all(any(mine.covers(theirs) for theirs in rule.beyond_paths()) for mine in earlier.beyond_paths())

    def _taken(self, rule: Rule) -> dict[str, str]:
        """The patterns of a rule that earlier ones take whole, and by which."""
        return {
            pattern: earlier.name
            for pattern in rule.paths()
            for earlier in self.rules[: self.rules.index(rule)]
            if self._as_wide(earlier, rule) and any(covers(wide, pattern) for wide in earlier.paths())
        }
