"""Starts `weir guard` on a free port for the tests of this folder, over fake cgroup trees, injected
figures or the real thing, and waits for states instead of sleeping.

Only the standard library. A test is a script: it calls main() with its functions named test_*.
Exit code 77 means skipped, with the reason printed.
"""
import argparse
import contextlib
import http.client
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import traceback

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from weir_outcome import equal, skip  # noqa: E402

MIB = 1 << 20
PATIENCE = 60  # seconds until a state that must come is given up


class Options:
    program = None
    source = None
    sanitized = False


def parse_options():
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", required=True, help="the built `weir`")
    parser.add_argument("--source", required=True, help="the source tree")
    parser.add_argument("--sanitized", action="store_true")
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()
    Options.program, Options.source = options.program, options.source
    Options.sanitized = options.sanitized
    return options


def holds(condition, what):
    if not condition:
        raise AssertionError(what)


def until(predicate, what, seconds=PATIENCE):
    """The first true value of the predicate."""
    end = time.monotonic() + seconds
    while True:
        value = predicate()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"this did not happen within {seconds} s: {what}")
        time.sleep(0.01)


def put(path, text):
    """Replaces a file at once: a reader sees the old or the new text."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path + ".new", "w", encoding="utf-8") as file:
        file.write(text)
    os.rename(path + ".new", path)


def figures(limit_mib, used_mib, **more):
    lines = [f"limit {limit_mib}MiB", f"usage {used_mib}MiB"]
    lines += [f"{key} {value}" for key, value in more.items()]
    return "\n".join(lines) + "\n"


class Tree:
    """A fake root with /proc and cgroup hierarchies."""

    MOUNTS = {
        "v1": "35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n",
        "v2": "31 23 0:28 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n",
        "hybrid": "35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
                  "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n",
        "none": "23 1 254:0 / / rw - ext4 /dev/root rw\n",
    }

    def __init__(self, kind, path="/a/b", pid="self"):
        self.folder = tempfile.TemporaryDirectory()
        self.root = self.folder.name
        self.kind, self.pid = kind, pid
        self.mount = "/sys/fs/cgroup" if kind == "v2" else "/sys/fs/cgroup/memory"
        for process in {"self", pid}:
            self.put(f"/proc/{process}/mountinfo", self.MOUNTS[kind])
        self.move(path)

    def put(self, path, text):
        put(self.root + path, text)

    def move(self, path):
        lines = {"v2": f"0::{path}\n", "v1": f"5:cpu:/\n4:memory:{path}\n",
                 "hybrid": f"4:memory:{path}\n0::/elsewhere\n", "none": "\n"}
        for process in {"self", self.pid}:
            self.put(f"/proc/{process}/cgroup", lines[self.kind])

    def level(self, path, limit=None, usage=None, active=0, inactive=0, **more):
        """The files of one level as its version names them; sizes in bytes; None: no such file."""
        folder = self.mount + path
        os.makedirs(self.root + folder, exist_ok=True)
        v2 = self.kind == "v2"
        prefix = "" if v2 else "total_"
        files = {"memory.max" if v2 else "memory.limit_in_bytes": limit,
                 "memory.current" if v2 else "memory.usage_in_bytes": usage}
        if usage is not None:
            files["memory.stat"] = f"{prefix}active_file {active}\n{prefix}inactive_file {inactive}"
        files.update({name.replace("__", "."): text for name, text in more.items()})
        for name, text in files.items():
            if text is not None:
                self.put(f"{folder}/{name}", f"{text}\n")
            elif os.path.exists(f"{self.root}{folder}/{name}"):
                os.remove(f"{self.root}{folder}/{name}")

    def file(self, path, name):
        return f"{self.root}{self.mount}{path}/{name}"


class Guard:
    """No reading becomes stale by itself: a monitor that waits for a processor is as silent as one
    that hangs. Where stale readings are wanted, `stale` says so."""

    def __init__(self, *arguments, wrap=(), interval="10ms", dwell="50ms", stale="10m"):
        self.log = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(
            [*wrap, Options.program, "guard", "--quiet", "--listen", "127.0.0.1:0", "--interval",
             interval, "--dwell", dwell, "--stale", stale, *arguments],
            stdout=subprocess.PIPE, stderr=self.log, text=True)
        line = self.process.stdout.readline()
        match = re.match(r"http://127\.0\.0\.1:(\d+)", line)
        if not match:
            self.process.wait(PATIENCE)
            raise AssertionError(f"the guard did not start: {line!r} {self.read_log()}")
        self.port = int(match.group(1))

    def read_log(self):
        self.log.seek(0)
        return self.log.read()

    def request(self, method, path, body=None, headers=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            return response.status, dict(response.getheaders()), response.read()
        finally:
            connection.close()

    def get(self, path):
        return self.request("GET", path)

    def status(self):
        return self.get("/admit")[0]

    def refusal(self):
        """The JSON of a refusal; None when the request is admitted."""
        status, _, body = self.get("/admit")
        return json.loads(body) if status == 429 else None

    def pressure(self):
        return json.loads(self.get("/v1/pressure")[2])

    def metric(self, name):
        text = self.get("/metrics")[2].decode()
        values = re.findall(rf"^{re.escape(name)} (\S+)$", text, re.M)
        equal(len(values), 1, f"samples of {name}")
        return float(values[0])

    def until_status(self, status):
        until(lambda: self.status() == status, f"/admit answers {status}")

    def until_state(self, state):
        return until(lambda: (lambda now: now["state"] == state and now)(self.pressure()),
                     f"the state is {state}")

    def until_log(self, pattern):
        return until(lambda: re.search(pattern, self.read_log()), f"the log says {pattern}")

    def stop(self, number=signal.SIGTERM, seconds=PATIENCE):
        if self.process.poll() is None:
            self.process.send_signal(number)
        code = self.process.wait(seconds)
        self.process.stdout.close()
        return code

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        self.log.close()


@contextlib.contextmanager
def guarding(*arguments, **keywords):
    guard = Guard(*arguments, **keywords)
    try:
        yield guard
    except Exception:
        print("log of the guard:\n" + guard.read_log())
        raise
    finally:
        guard.close()


@contextlib.contextmanager
def injected(*arguments, **keywords):
    """A guard over a file of figures, and the path of that file."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "pressure")
        put(path, figures(1000, 100))
        with guarding("--pressure-file", path, *arguments, **keywords) as guard:
            yield guard, path


def run_once(*arguments):
    done = subprocess.run([Options.program, "guard", *arguments], capture_output=True, text=True,
                          timeout=PATIENCE, check=False)
    return done.returncode, done.stdout, done.stderr


def main(functions):
    options = parse_options()
    failed = 0
    for name, function in functions.items():
        if not name.startswith("test_") or (options.names and name not in options.names):
            continue
        begin = time.monotonic()
        try:
            function()
            print(f"ok   {name} {time.monotonic() - begin:.1f} s", flush=True)
        except AssertionError:
            failed += 1
            traceback.print_exc(file=sys.stdout)
            print("FAIL", name)
    return 1 if failed else 0
