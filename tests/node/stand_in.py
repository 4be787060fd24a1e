"""Builds and starts the stand-in node of examples/node; for the tests and the demo.

As a program (`stand_in.py --output FILE`) it only builds: exit code 77 with a reason when there is
no Go, no C compiler, or no way to the modules it needs.
"""
import argparse
import glob
import json
import os
import re
import shutil
import subprocess
import sys
import urllib.error
import urllib.request

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from weir_fetch import UNREACHABLE, fetch, reason  # noqa: E402
from weir_outcome import skip  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCE = os.path.join(os.path.dirname(os.path.dirname(HERE)), "examples", "node")
GO_MINIMUM = (1, 19)
MIB = 1 << 20


def find_go():
    """The go command, or None when there is none that is new enough."""
    places = [shutil.which("go"), "/usr/local/go/bin/go", *glob.glob("/usr/lib/go-*/bin/go")]
    for go in places:
        if not go or not os.access(go, os.X_OK):
            continue
        done = subprocess.run([go, "env", "GOVERSION"], capture_output=True, text=True, check=False)
        match = re.match(r"go(\d+)\.(\d+)", done.stdout)
        if match and tuple(map(int, match.groups())) >= GO_MINIMUM:
            return go
    return None


def go_environment():
    environment = dict(os.environ, CGO_ENABLED="1", GOTOOLCHAIN="local",
                       GOFLAGS="-mod=readonly -buildvcs=false")
    environment.setdefault("HOME", "/root")
    for name in ("GOMEMLIMIT", "GOGC"):
        environment.pop(name, None)
    return environment


def build(output):
    """Skips the test when the node cannot be built here."""
    go = find_go()
    if go is None:
        skip(f"no Go {'.'.join(map(str, GO_MINIMUM))} or later (package golang-go)")
    if not shutil.which("gcc") and not shutil.which("cc"):
        skip("cgo needs a C compiler")
    done = fetch([go, "build", "-o", output, "."], cwd=SOURCE, env=go_environment())
    if done.returncode == 0:
        return
    if UNREACHABLE.search(done.stderr):
        skip(f"Go's modules cannot be fetched here: {reason(done)}")
    raise SystemExit(f"the stand-in node does not build:\n{done.stderr}")


class Node:
    """A running stand-in node."""

    def __init__(self, program, config=None, arguments=(), environment=None, wrap=()):
        variables = {name: value for name, value in os.environ.items()
                     if name not in ("GOMEMLIMIT", "GOGC", "MALLOC_ARENA_MAX")}
        variables.update(environment or {})
        command = [*wrap, program, *(["--config", config] if config else []), *arguments]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=variables)
        match = re.match(r"(http://\S+) pid (\d+)", self.process.stdout.readline())
        if not match:
            self.process.wait(10)
            raise AssertionError(f"the node did not start: {command}")
        self.url, self.pid = match.group(1), int(match.group(2))

    def get(self, path, timeout=120):
        try:
            with urllib.request.urlopen(self.url + path, timeout=timeout) as response:
                return json.load(response)
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{path}: {error.read().decode()}") from error

    def fill(self, *lines):
        return self.get("/fill?" + "&".join("line=" + line for line in lines))

    def smaps(self, field):
        """Bytes of a field of smaps_rollup."""
        with open(f"/proc/{self.pid}/smaps_rollup", encoding="ascii") as file:
            return sum(int(line.split()[1]) << 10 for line in file if line.startswith(field + ":"))

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(20)
        self.process.stdout.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", required=True)
    build(os.path.abspath(parser.parse_args().output))


if __name__ == "__main__":
    main()
