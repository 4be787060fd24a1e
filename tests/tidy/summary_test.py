#!/usr/bin/env python3
"""Tests tools/test_summary over result files in the form that CTest writes."""
import os
import subprocess
import sys
import tempfile

SUMMARY = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tools",
                       "test_summary")
PASSED = '<testcase name="a" status="run"><system-out>fine</system-out></testcase>'
FAILED = '<testcase name="b" status="fail"><failure message="1"/></testcase>'
SKIPPED = ('<testcase name="c" status="notrun"><skipped message="SKIP_RETURN_CODE=77"/>'
           "<system-out>skip: no llc-19\n</system-out></testcase>")
RACE = ('<testcase name="b" status="fail"><failure message="1"/>'
        "<system-out>WARNING: ThreadSanitizer: data race</system-out></testcase>")
LATER = '<testcase name="b" status="run"/>'
LOST = '<testcase name="d" status="notrun"/>'

# (cases, second tries or None, WEIR_REQUIRE_ALL, exit code, lines)
TABLE = [
    ([PASSED, PASSED], None, "0", 0, ["2 passed, 0 failed, 0 skipped"]),
    ([PASSED, FAILED], None, "0", 1, ["failed: b (x)", "1 passed, 1 failed, 0 skipped"]),
    ([SKIPPED], None, "0", 0, ["skipped: c (x): no llc-19", "0 passed, 0 failed, 1 skipped"]),
    ([SKIPPED], None, "1", 1, ["failed: c (x): no llc-19 (nothing may be skipped: "
                               "WEIR_REQUIRE_ALL=1)", "0 passed, 1 failed, 0 skipped"]),
    ([LOST], None, "0", 1, ["failed: d (x)", "0 passed, 1 failed, 0 skipped"]),
    ([], None, "0", 1, ["no results: no test was run"]),
    ([PASSED, FAILED], [LATER], "0", 0, ["unsteady: b (x): failed beside others, passed alone",
                                         "1 passed, 0 failed, 0 skipped, 1 unsteady"]),
    ([PASSED, FAILED], [FAILED], "0", 1, ["failed: b (x)", "1 passed, 1 failed, 0 skipped"]),
    ([RACE], [LATER], "0", 1, ["failed: b (x): a sanitizer's report, though it passed when run"
                               " again", "0 passed, 1 failed, 0 skipped"]),
    ([SKIPPED], [PASSED], "1", 1, ["failed: c (x): no llc-19 (nothing may be skipped: "
                                   "WEIR_REQUIRE_ALL=1)", "0 passed, 1 failed, 0 skipped"]),
]


def write(folder, name, cases):
    with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
        file.write(f"<testsuite>{''.join(cases)}</testsuite>")


def main():
    wrong = 0
    for cases, again, require_all, code, lines in TABLE:
        with tempfile.TemporaryDirectory() as folder:
            write(folder, "x.xml", cases)
            if again is not None:
                write(folder, "x.again.xml", again)
            result = subprocess.run([SUMMARY, folder], capture_output=True, text=True,
                                    env={**os.environ, "WEIR_REQUIRE_ALL": require_all})
        if (result.returncode, result.stdout.splitlines()) != (code, lines):
            wrong += 1
            print(f"want {code} {lines}, got {result}")
    print(f"{len(TABLE)} summaries, {wrong} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
