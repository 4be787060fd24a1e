"""How a test in Python ends: what all of them share, found by the folder above theirs."""
import os
import sys


def skip(reason):
    """Ends the test as one that cannot run here: a failure where nothing may be skipped."""
    print("skip:", reason)
    sys.exit(1 if os.environ.get("WEIR_REQUIRE_ALL") == "1" else 77)


def equal(got, wanted, what=""):
    if got != wanted:
        raise AssertionError(f"{what}: got {got!r}, wanted {wanted!r}")
