"""Faults that take a real MLflow, one function each: docs/TROUBLESHOOTING.md names them beside the code that must name them.

A function gets a `Place` and returns what is to name the fault: a `Report` of `check` or `doctor`, or a function that
returns the codes that were told so far, which is asked until the code is among them. A new fault is a function in the
file of its letter, and its name in the document.
"""

import inspect

from . import edge, mlflow, stores, tls

ROOMS = [mlflow, stores, tls, edge]
FAULTS = {
    name: function
    for room in ROOMS
    for name, function in inspect.getmembers(room, inspect.isfunction)
    if function.__module__ == room.__name__ and not name.startswith("_")
}
