"""Waiting for events, with a deadline."""

import time

PATIENCE_SECONDS = 20


def eventually(done, what: str = "", seconds: float = PATIENCE_SECONDS):
    """Calls `done` until its result is true, and returns that; fails after so many seconds."""
    deadline = time.monotonic() + seconds
    while not (result := done()):
        assert time.monotonic() < deadline, f"not within {seconds} s: {what or done}"
        time.sleep(0.05)
    return result
