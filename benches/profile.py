"""`make profile`: the instructions of a cached GET, or with `--log-batch` of a POST of 100 metrics, by crate and by function, under callgrind.

Two columns for each crate. "own" are the instructions of its own functions; together they are all. "entered" are those of
calls into the crate from others, with all that it calls: the cost of using it. A crate that calls another which calls it
again is counted twice there. Generic code and inlined code count where the compiler put them.
"""

from __future__ import annotations

import argparse
import re
import subprocess
from collections import Counter
from pathlib import Path

from .side_by_side import load
from .side_by_side.contenders.gateway import Gateway
from .side_by_side.processes import Server
from .side_by_side.testbed import ROOT, Testbed

BINARY = ROOT / "target" / "measured" / "hokusai-gateway"
OUT = ROOT / "target" / "callgrind.out"
# Caches, connections and the allocator are warm after so many.
WARM_UP = 200


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benches.profile", description=__doc__)
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--service", action="store_true", help="with an auth service and usage reports, not a key file")
    parser.add_argument("--functions", type=int, default=25, help="how many are printed")
    parser.add_argument("--log-batch", action="store_true", help="a log-batch of 100 metrics, not a GET")
    parser.add_argument("--ownership", default="off", help="policy.ownership")
    given = parser.parse_args()
    request = load.LOG_BATCH if given.log_batch else load.GET
    measure(given.requests, request, given.service, given.ownership)
    report(given.requests, given.functions)


def measure(requests: int, request: load.Request, service: bool, ownership: str) -> None:
    with Testbed(binary=BINARY) as bed:
        server = Valgrind(service=service).start(bed, 1, HOKUSAI__POLICY__OWNERSHIP=ownership)
        try:
            ask(server, request, WARM_UP)
            control(server, "--instr=on")
            ask(server, request, requests)
            control(server, "--dump")
        finally:
            server.stop()


class Valgrind(Gateway):
    """The gateway under callgrind, which counts nothing before it is told to."""

    def start(self, bed: Testbed, workers: int, upstream: str = "", **settings: str) -> Server:
        for old in OUT.parent.glob(f"{OUT.name}*"):
            old.unlink()
        wrapper = bed.folder / "under-callgrind"
        options = f"--tool=callgrind --quiet --instr-atstart=no --callgrind-out-file={OUT}"
        wrapper.write_text(f'#!/bin/sh\nexec valgrind {options} {bed.binary} "$@"\n')
        wrapper.chmod(0o755)
        bed.binary = wrapper
        return super().start(bed, workers, upstream, **settings)


def ask(server: Server, request: load.Request, requests: int) -> None:
    """One after the other on one connection, by curl, which takes a list of addresses."""
    url = server.base + request.path
    command = ["curl", "-sS", "--fail", "-o", "/dev/null", "-H", f"Authorization: {server.authorization}"]
    if request.body:
        # Without `Expect: 100-continue`, which MLflow's client does not send.
        command += ["-H", "Content-Type: application/json", "-H", "Expect:", "--data-binary", "@-"]
    numbered = f"{url}{'&' if '?' in url else '?'}number=[1-{requests}]"
    subprocess.run([*command, numbered], input=request.body.encode(), check=True)


def control(server: Server, order: str) -> None:
    subprocess.run(["callgrind_control", order, str(server.pid)], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def report(requests: int, functions: int) -> None:
    own, entered, by_function = read(max(OUT.parent.glob(f"{OUT.name}*"), key=lambda path: path.stat().st_size))
    every = sum(own.values())
    print(f"{every / requests:,.0f} instructions a request\n\n{'crate':<28}{'own':>10}{'':8}{'entered':>10}")
    for crate, count in own.most_common():
        if count > every / 500 or entered[crate] > every / 100:
            print(f"{crate:<28}{cells(count, requests, every)}{cells(entered[crate], requests, every)}")
    print(f"\n{'own':>10}")
    for name, count in by_function.most_common(functions):
        print(f"{cells(count, requests, every)}  {name[:140]}")
    print("\nAll functions: callgrind_annotate --inclusive=yes target/callgrind.out*")


def cells(count: int, requests: int, every: int) -> str:
    return f"{count / requests:>10,.0f} {100 * count / every:5.1f} %"


def read(path: Path) -> tuple[Counter[str], Counter[str], Counter[str]]:
    """callgrind's file: instructions by crate, by crate entered, and by function."""
    own, entered, by_function = Counter[str](), Counter[str](), Counter[str]()
    names: dict[str, str] = {}
    caller, callee, is_call = "", "", False

    def named(text: str) -> str:
        # "(12) name" the first time, "(12)" after that.
        number, _, name = text.partition(" ")
        return names.setdefault(number, name)

    for line in path.read_text().splitlines():
        key, _, value = line.partition("=")
        if key == "fn":
            caller = named(value)
        elif key == "cfn":
            callee = named(value)
        elif key == "calls":
            is_call = True
        elif line and line[0] in "0123456789+-*":
            count = int(line.split()[1])
            if is_call:
                if crate_of(callee) != crate_of(caller):
                    entered[crate_of(callee)] += count
            else:
                by_function[caller] += count
                own[crate_of(caller)] += count
            is_call = False
    return own, entered, by_function


def crate_of(function: str) -> str:
    """By the first path in its name: `<awc::client::Pool as core::…>::call` is awc's. C functions have none."""
    if function.startswith("<") and (self_type := re.match(r"<(?:[&*(\[]|mut |const |dyn )*(\w+)::", function)):
        return self_type[1]
    path = re.match(r"(\w+)::", function)
    return path[1] if path else "(C, and others without a path)"


if __name__ == "__main__":
    main()
