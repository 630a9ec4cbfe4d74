"""`make bench`: the gateway beside what it would replace, in one run on one machine.

A contender is a proxy under measurement (contenders/), started in a test bed (testbed.py) before an upstream that is
always the same (upstream.py). A scenario (scenarios.py) puts one load (load.py) on each contender in turn, several
rounds of them, and reads what it cost (cost.py). targets.py judges, report.py writes docs/BENCHMARKS.md.
"""
