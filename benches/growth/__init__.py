"""`make growth`: what a request costs as keys, routes and instances become more, and what the next limit is.

A curve is a file with its `measure`: keys.py, routes.py, instances.py; sizes.py has what does not grow. Test bed, load and cost are
those of benches/side_by_side. limits.py reckons, pictures.py draws docs/benchmarks/, document.py writes docs/GROWTH.md.
"""
