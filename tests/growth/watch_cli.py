#!/usr/bin/env python3
"""`weir doctor --watch` end to end: real processes, metrics by HTTP and by file, Ctrl-C, a process
that ends, a recording and its replay, a trim. The fixture takes a step whenever the recording has
got a line, so nothing depends on how fast the machine is.

usage: watch_cli.py --weir BUILD/bin/weir --fixture BUILD/tests/growth_fixture
"""
import argparse
import concurrent.futures
import http.server
import json
import os
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time

PATIENCE_S = 240
SAMPLES = 110
failures = []


def check(good, what, detail=""):
    if not good:
        failures.append(what)
        print(f"FAILED: {what}\n{detail}", flush=True)


class Fixture:
    """One process of growth_fixture, stepped by hand."""

    def __init__(self, options, kind, seed=31337):
        self.process = subprocess.Popen([options.fixture, kind, str(seed), str(SAMPLES)],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.report = self.ask(b"g")

    def ask(self, command):
        self.process.stdin.write(command)
        self.process.stdin.flush()
        report = self.process.stdout.read(32)
        operations, cache, limit, live = struct.unpack("4d", report)
        self.report = {"operations": operations, "cache": cache, "limit": limit, "live": live}
        return self.report

    def metrics(self):
        return (f'# TYPE work_total counter\nwork_total{{kind="a"}} {self.report["operations"]}\n'
                f'cache_used_bytes {self.report["cache"]}\n'
                f'cache_limit_bytes {self.report["limit"]}\n')

    def end(self):
        self.process.kill()
        self.process.wait()


def start_server(fixture):
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            body = fixture.metrics().encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def count_lines(path):
    try:
        with open(path, "rb") as file:
            return file.read().count(b"\n")
    except FileNotFoundError:
        return 0


def watch(options, fixture, arguments, until, at_end, each=lambda: None):
    """Runs a watch, a step for each line of its recording; after `until` samples calls at_end with
    the watch, and returns what it printed."""
    record = os.path.join(options.folder, "record.csv")
    if os.path.exists(record):
        os.unlink(record)
    command = [options.weir, "doctor", str(fixture.process.pid), "--watch", "1h", "--interval",
               "10ms", "--json", "--record", record] + arguments
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    seen = 3  # the head of the recording
    is_told = False
    deadline = time.monotonic() + PATIENCE_S
    while process.poll() is None:
        if time.monotonic() > deadline:
            process.kill()
            check(False, "the watch ends in time", str(arguments))
            break
        lines = count_lines(record)
        if lines > seen and not is_told:
            seen = lines
            fixture.ask(b"g")
            each()
        if lines >= until + 3 and not is_told:
            is_told = True
            at_end(process)
        time.sleep(0.002)
    out, err = process.communicate()
    try:
        return json.loads(out), process.returncode, err, record
    except json.JSONDecodeError:
        check(False, "the output is JSON", f"{command}\n{out}\n{err}")
        return {"verdict": {"kind": None, "confidence": None}, "watch": {}}, None, err, record


def interrupt(process):
    process.send_signal(signal.SIGINT)


def replay(options, record):
    done = subprocess.run([options.weir, "doctor", "--json", "--replay", record],
                          capture_output=True, text=True, check=False)
    return json.loads(done.stdout), done.returncode


def leak_by_http(options):
    fixture = Fixture(options, "leak")
    server = start_server(fixture)
    url = f"http://127.0.0.1:{server.server_port}/metrics#work_total"
    got, code, err, record = watch(options, fixture, ["--operations", url], SAMPLES, interrupt)
    verdict = got["verdict"]
    check(verdict["kind"] == "leak" and code == 4, "a leak, by Ctrl-C", f"{code} {got} {err}")
    check(got["watch"]["end"] == "stopped", "Ctrl-C is told", got["watch"])
    check(verdict["evidence"]["time_base"] == "operations", "operations by HTTP", got)
    check(verdict["class"] == "malloc", "the class that leaks", got)
    again, code = replay(options, record)
    check(again["verdict"]["kind"] == "leak" and code == 4, "the replay says the same", again)
    check(abs(again["verdict"]["evidence"]["slope"] - verdict["evidence"]["slope"]) < 1,
          "the replay has the same figures", f"{again}\n{got}")
    server.shutdown()
    fixture.end()


def metrics_file(options, fixture):
    """A file of the fixture's metrics, and the function that brings it up to date."""
    path = os.path.join(options.folder, "metrics.prom")

    def write():
        with open(path + ".new", "w", encoding="ascii") as file:
            file.write(fixture.metrics())
        os.rename(path + ".new", path)

    write()
    return path, write


def cache_by_file(options):
    fixture = Fixture(options, "cache")
    path, write = metrics_file(options, fixture)
    got, code, err, _ = watch(options, fixture,
                              ["--cache", f"{path}#cache_used_bytes,cache_limit_bytes",
                               "--operations", f'{path}#work_total{{kind="a"}}'],
                              SAMPLES, interrupt, write)
    check(got["verdict"]["kind"] == "cache fill" and code == 0, "a cache that fills",
          f"{code} {got} {err}")
    check(got["watch"]["gaps"] == 0, "no reading failed", got["watch"])
    fixture.end()


def ended_process(options):
    fixture = Fixture(options, "leak")
    path, write = metrics_file(options, fixture)

    def kill(_):
        fixture.process.kill()
        fixture.process.wait()

    got, code, err, _ = watch(options, fixture, ["--operations", f"{path}#work_total"], SAMPLES,
                              kill, write)
    check(got["verdict"]["kind"] == "leak" and code == 9, "a process that ended is judged",
          f"{code} {got} {err}")
    check(got["watch"]["end"] == "process ended", "its end is told", got["watch"])


def retention_and_trim(options):
    fixture = Fixture(options, "drift_small")
    request = os.path.join(options.folder, "trim")
    done = os.path.join(options.folder, "trimmed")

    def trim_when_asked():
        while not os.path.exists(request):
            if fixture.process.poll() is not None:
                return
            time.sleep(0.005)
        fixture.ask(b"t")
        with open(done, "w", encoding="ascii"):
            pass

    thread = threading.Thread(target=trim_when_asked)

    def finish(process):
        interrupt(process)
        thread.start()

    got, code, err, _ = watch(options, fixture,
                              ["--trim", f"touch {request}; until test -e {done}; do sleep 0.01; "
                                         "done"], SAMPLES, finish)
    verdict = got["verdict"]
    check(verdict["kind"] == "retention" and code == 0, "retention", f"{code} {got} {err}")
    evidence = verdict.get("evidence", {})
    check(verdict["confidence"] == "high" and
          evidence.get("released_bytes", 0) >= 0.5 * evidence.get("held_bytes", 1e18),
          "the trim agrees", got)
    fixture.end()
    thread.join()


def refusals(options):
    fixture = Fixture(options, "quiet")
    pid = str(fixture.process.pid)
    none = os.path.join(options.folder, "none")
    for arguments, code, text in [
            ([pid, "--watch", "1s", "--interval", "1s"], 2, "90 samples"),
            ([pid, "--watch", "1h", "--operations", none + "#a"], 11, none),
            ([pid, "--watch", "1h", "--operations", "https://h/#a"], 2, "only http"),
            ([pid, "--watch", "1h", "--record", none + "/x"], 11, none),
            ([pid, "--record", "x"], 2, "--watch"),
            (["--replay", none], 9, none),
            (["--replay", "x", "--watch", "1h"], 2, "--replay"),
            (["999999999", "--watch", "1h"], 9, "999999999")]:
        done = subprocess.run([options.weir, "doctor"] + arguments, capture_output=True, text=True,
                              timeout=PATIENCE_S, check=False)
        check(done.returncode == code and text in done.stderr, f"refused: {arguments}",
              f"{done.returncode} {done.stdout} {done.stderr}")
    fixture.end()


def in_own_folder(scenario, options):
    own = argparse.Namespace(**vars(options))
    with tempfile.TemporaryDirectory() as own.folder:
        scenario(own)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--weir", required=True)
    parser.add_argument("--fixture", required=True)
    options = parser.parse_args()
    # Most of a watch is waiting, so they run side by side.
    scenarios = [refusals, leak_by_http, cache_by_file, ended_process, retention_and_trim]
    with concurrent.futures.ThreadPoolExecutor(len(scenarios)) as pool:
        runs = [pool.submit(in_own_folder, scenario, options) for scenario in scenarios]
    for run in runs:
        run.result()
    return 1 if failures else 0


sys.exit(main())
