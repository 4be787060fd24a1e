#!/usr/bin/env python3
"""The example units: systemd finds nothing wrong with them, little is exposed, and what they
promise of the program is kept (no memory is writable and executable at once)."""
import ctypes
import os
import re
import shutil
import subprocess
import sys
import tempfile

from weir_http import Options, equal, parse_options, serving, skip

UNITS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../examples/systemd")
PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN = 65, 1


def verifies():
    with tempfile.TemporaryDirectory() as folder:
        for name in ("weir.service", "weir.socket", "weir-control.socket"):
            with open(os.path.join(UNITS, name), encoding="utf-8") as file:
                text = file.read().replace("/usr/bin/weir", os.path.abspath(Options.program))
            with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
                file.write(text)
        paths = [os.path.join(folder, name) for name in os.listdir(folder)]
        done = subprocess.run(["systemd-analyze", "verify", "--man=no", *paths],
                              capture_output=True, text=True, timeout=120, check=False)
        ours = [line for line in done.stderr.splitlines() if "/weir" in line or "weir" in line]
        equal(ours, [], done.stderr)
        done = subprocess.run(["systemd-analyze", "security", "--offline=true", "--no-pager",
                               os.path.join(folder, "weir.service")],
                              capture_output=True, text=True, timeout=120, check=False)
        level = re.search(r"exposure level for weir.service: ([\d.]+)", done.stdout)
        equal(level is not None, True, done.stdout + done.stderr)
        print("exposure", level[1])
        equal(float(level[1]) < 3, True, done.stdout)


def keeps_the_promise():
    """As MemoryDenyWriteExecute= does it, where the kernel can without systemd (6.3)."""
    libc = ctypes.CDLL(None, use_errno=True)

    def refuse():
        if libc.prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0) != 0:
            os._exit(99)

    if subprocess.run(["true"], preexec_fn=refuse, check=False).returncode == 99:
        print("this kernel has no PR_SET_MDWE")
        return
    wrap = (sys.executable, "-c", "import ctypes, os, sys; "
            f"ctypes.CDLL(None).prctl({PR_SET_MDWE}, {PR_MDWE_REFUSE_EXEC_GAIN}, 0, 0, 0); "
            "os.execv(sys.argv[1], sys.argv[1:])")
    with serving(wrap=wrap) as server:
        equal(server.get("/hello")[2], b"hello, world\n", "compiled, mapped and run")
        equal(server.get("/misbehave?loop")[0], 504)
        equal(server.stop(), 0)


def main():
    parse_options()
    if not shutil.which("systemd-analyze"):
        skip("systemd-analyze is not installed")
    verifies()
    if not Options.sanitized:
        keeps_the_promise()
    print("all passed")


if __name__ == "__main__":
    try:
        main()
    except AssertionError as failure:
        print("FAIL", failure)
        sys.exit(1)
