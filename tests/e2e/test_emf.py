"""The lines that CloudWatch makes metrics of, as it would read them: a JSON Schema validator has AWS's published format."""

import json
from pathlib import Path

import jsonschema
import requests
from waiting import eventually

# From AWS's published format.
SCHEMA = json.loads(Path(__file__).with_name("emf.schema.json").read_text())


def points(log: str) -> list[tuple[str, dict[str, str], object]]:
    """Every data point: the metric, its dimensions, its value."""
    found = []
    for line in log.splitlines():
        event = json.loads(line)
        if "_aws" not in event:
            continue
        assert len(line) < 16 * 1024
        jsonschema.validate(event, SCHEMA)
        for directive in event["_aws"]["CloudWatchMetrics"]:
            for metric in directive["Metrics"]:
                for names in directive["Dimensions"]:
                    dimensions = {name: event[name] for name in names}
                    assert all(isinstance(value, str) for value in dimensions.values())
                    value = event[metric["Name"]]
                    if isinstance(value, dict):
                        assert len(value["Values"]) == len(value["Counts"]) <= 100
                        assert sum(value["Counts"]) == value["Count"]
                    found.append((metric["Name"], dimensions, value))
    return found


def test_the_lines_are_valid_and_add_up_to_the_requests_that_were_made(stack, second_gateway):
    second_gateway.start_gateway(
        HOKUSAI__AUTH__KEY_FILE__PATH=str(stack.key_file),
        HOKUSAI__TELEMETRY__EMF="true",
        HOKUSAI__TELEMETRY__EMF_INTERVAL="1s",
        HOKUSAI__TELEMETRY__ENV="test",
    )
    headers = {"Authorization": f"Bearer {stack.key}"}
    for _ in range(10):
        answer = requests.get(f"{second_gateway.tracking_uri}/version", headers=headers, timeout=60)
        assert answer.status_code == 200
    for _ in range(3):
        assert requests.get(f"{second_gateway.url}/nowhere", timeout=60).status_code == 404

    def total(name: str, **wanted: str) -> float:
        told = points(second_gateway.log("gateway").read_text())
        fits = (value for metric, dimensions, value in told if metric == name and wanted.items() <= dimensions.items())
        return sum(value["Count"] if isinstance(value, dict) else value for value in fits)

    eventually(lambda: total("Requests") >= 13)
    ours = {"Service": "hokusai-gateway", "Env": "test"}
    assert total("Requests", **ours) == 13
    assert total("LatencyMs", **ours) == 13
    assert total("UpstreamLatencyMs", **ours) == total("ProxyAttempts", **ours) == 10
    assert total("ProxyFailures", **ours) == 0
    assert total("Errors", ErrorClass="route_unknown", **ours) == 3
    assert total("Heartbeat", **ours) >= 1
    assert total("UpstreamUp", **ours) >= 1
    # What is left of a minute is told when the gateway ends.
    assert requests.get(f"{second_gateway.url}/nowhere", timeout=60).status_code == 404
    second_gateway.stop()
    assert total("Requests", **ours) == 14
    assert not any("ErrorClass" in dimensions for name, dimensions, _ in points(second_gateway.log("gateway").read_text()) if name != "Errors")
