"""`make growth`: what a request costs as keys, routes and instances become more, and what the next limit is.

A curve is a file with its `measure`: keys.py, routes.py, instances.py. guard.py and sizes.py have what the paper needs besides. Test bed, load and cost are
those of benches/side_by_side. limits.py reckons, pictures.py draws docs/benchmarks/, document.py writes docs/GROWTH.md.
"""
