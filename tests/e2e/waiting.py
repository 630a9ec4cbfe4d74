"""Waiting for events, with a deadline."""

import time

PATIENCE_SECONDS = 20


def eventually(done):
    """Calls `done` until its result is true, and returns that; fails after PATIENCE_SECONDS."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (result := done()):
        assert time.monotonic() < deadline, f"not true within {PATIENCE_SECONDS} s: {done}"
        time.sleep(0.05)
    return result
