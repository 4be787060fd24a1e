#!/usr/bin/env python3
"""Debian's Prometheus, with the rules of examples/prometheus, scrapes a running host, a running
guard and processes played by this script.

Played, because six hours are too long: a leak, a plateau, a step and a collector's sawtooth, by an
exporter with the host's names; the rules on growth run with every duration divided by one number.
Real: the host's page and the guard's, a refusing host, a guard that is pressed, one that cannot
read, and a process in a cgroup that leaks under a guard. The other rules' minutes are seconds here.
"""
import contextlib
import http.server
import json
import math
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
import urllib.request

from memory_cgroup import Cgroup
from weir_http import Options, equal, parse_options, serving, skip
from weir_port import free_port

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.append(os.path.join(ROOT, "tests", "guard"))
import weir_guard  # noqa: E402

sys.path.append("/usr/lib/python3/dist-packages")  # for a python3 that is not Debian's own
try:
    import yaml
except ImportError:
    skip("python3-yaml is not installed")

RULES = os.path.join(ROOT, "examples", "prometheus")
GROWTH_SCALE = 1080  # six hours are 20 s
OTHER_SCALE = 60
MILLISECONDS = {"s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
INTERVAL_MS = 250
WAIT_SECONDS = 600
MIB = 1 << 20


# --- the rules, faster ---------------------------------------------------------------------------

def shorten(duration, scale):
    number, unit = re.fullmatch(r"(\d+)([smhd])", duration).groups()
    return f"{max(INTERVAL_MS, int(number) * MILLISECONDS[unit] // scale)}ms"


def faster(rule):
    is_growth = "weir:live_bytes" in rule["expr"] or "weir:live_bytes" in rule.get("record", "")
    scale = GROWTH_SCALE if is_growth else OTHER_SCALE
    rule = dict(rule)
    # Durations stand in brackets or behind "offset"; names and texts have none.
    rule["expr"] = re.sub(r"(?<=\[)\d+[smhd](?=\])|(?<=offset )\d+[smhd]\b",
                          lambda match: shorten(match.group(), scale), rule["expr"])
    if "for" in rule:
        rule["for"] = shorten(rule["for"], scale)
    return rule


def write_rules(folder):
    for name in ("rules.yml", "alerts.yml"):
        with open(os.path.join(RULES, name), encoding="utf-8") as file:
            groups = yaml.safe_load(file)["groups"]
        for group in groups:
            group["interval"] = f"{INTERVAL_MS}ms"
            group["rules"] = [faster(rule) for rule in group["rules"]]
        with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
            json.dump({"groups": groups}, file)


# --- played processes ----------------------------------------------------------------------------

def hours():
    return (time.monotonic() - BEGIN) * GROWTH_SCALE / 3600


def noise():
    """A few hundred KiB, the same for everyone who asks at one time."""
    return math.sin(time.monotonic() * 1000) * 0.3


PLAYED = {
    "leak": lambda: 6 * hours(),
    "plateau": lambda: 60 * (1 - math.exp(-hours() / 0.7)),
    "step": lambda: 60 * (hours() > 4),
    "sawtooth": lambda: 40 * (hours() * 4 % 1),
}
BEGIN = time.monotonic()


class Played(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        live = int((200 + PLAYED[self.path.strip("/")]() + noise()) * MIB)
        page = (f"weir_growth_bytes {live}\nweir_malloc_free_resident_bytes 0\n"
                f"weir_requests_total{{route=\"/\",status=\"2xx\"}} {int(hours() * 360000)}\n"
                "process_start_time_seconds 1000\n").encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        with contextlib.suppress(BrokenPipeError):  # scraping timed out
            self.wfile.write(page)

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def played():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Played)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()


# --- guards --------------------------------------------------------------------------------------

LEAKER = """
import time
kept = []
while True:
    kept.append(bytearray(b"x") * 131072)
    time.sleep(0.05)
"""


def ask_to_be_admitted(guard, stop):
    while not stop.is_set():
        guard.get("/admit")
        time.sleep(0.05)


@contextlib.contextmanager
def leaking_cgroup():
    """The folder of a cgroup whose only process leaks 2.5 MiB a second; None where none can be."""
    try:
        cgroup = Cgroup("leak")
    except OSError as error:
        print(f"without a leak in a real cgroup: {error}")
        yield None
        return
    leaker = subprocess.Popen([*cgroup.enter(), sys.executable, "-c", LEAKER])
    try:
        yield cgroup.path
    finally:
        leaker.kill()
        leaker.wait()
        cgroup.remove()


def start_guards(stack, stop):
    """({job: (port, path)}, [(alert, job)]): guards, and what must be said about each."""
    weir_guard.Options.program = Options.program
    pressed, path = stack.enter_context(weir_guard.injected("--mem-free-limit", "100MiB"))
    weir_guard.put(path, weir_guard.figures(1000, 950))
    blind, path = stack.enter_context(weir_guard.injected("--mem-free-limit", "100MiB",
                                                          stale="1s"))
    weir_guard.put(path, "unknown the test says so\n")
    jobs = {"weir-guard-pressed": (pressed.port, "/metrics"),
            "weir-guard-blind": (blind.port, "/metrics")}
    alerts = [("WeirMemoryPressed", "weir-guard-pressed"),
              ("WeirGuardRefusing", "weir-guard-pressed"),
              ("WeirPressureUnknown", "weir-guard-blind"),
              ("WeirPressureReadFailures", "weir-guard-blind")]
    folder = stack.enter_context(leaking_cgroup())
    if folder is not None:
        guard = stack.enter_context(weir_guard.guarding("--cgroup", folder))
        jobs["weir-guard-leak"] = (guard.port, "/metrics")
        alerts.append(("WeirMemoryLeak", "weir-guard-leak"))
    client = threading.Thread(target=ask_to_be_admitted, args=(pressed, stop))
    client.start()
    stack.callback(client.join)
    stack.callback(stop.set)
    return jobs, alerts


# --- Prometheus ----------------------------------------------------------------------------------

class Prometheus:
    def __init__(self, folder, jobs):
        """jobs: {job: (port, path)}; a target is called as its job. Played ones answer at once."""
        write_rules(folder)
        scrapes = []
        for job, (port, path) in jobs.items():
            interval = "1s" if path == "/metrics" else f"{INTERVAL_MS}ms"
            scrapes.append({
                "job_name": job, "metrics_path": path,
                "scrape_interval": interval, "scrape_timeout": interval,
                "static_configs": [{"targets": [f"127.0.0.1:{port}"],
                                    "labels": {"instance": job}}]})
        with open(os.path.join(folder, "prometheus.yml"), "w", encoding="utf-8") as file:
            json.dump({"rule_files": ["rules.yml", "alerts.yml"], "scrape_configs": scrapes}, file)
        self.port = free_port()
        self.log = open(os.path.join(folder, "log"), "w+", encoding="utf-8")
        self.process = subprocess.Popen(
            ["prometheus", f"--config.file={folder}/prometheus.yml",
             f"--storage.tsdb.path={folder}/data", "--log.level=warn",
             f"--web.listen-address=127.0.0.1:{self.port}"],
            stdout=self.log, stderr=subprocess.STDOUT)

    def get(self, path, **query):
        """None while it starts."""
        url = f"http://127.0.0.1:{self.port}/api/v1/{path}?" + urllib.parse.urlencode(query)
        try:
            with urllib.request.urlopen(url, timeout=WAIT_SECONDS) as response:
                return json.load(response)["data"]
        except OSError:
            if self.process.poll() is not None:
                self.log.seek(0)
                raise AssertionError(f"prometheus ended: {self.log.read()}") from None
            return None

    def ask(self, expression):
        """[(labels, value)]"""
        data = self.get("query", query=expression)
        return [(item["metric"], float(item["value"][1])) for item in data["result"]] \
            if data else []

    def wait(self, expression, what):
        end = time.monotonic() + WAIT_SECONDS
        while not (result := self.ask(expression)):
            if time.monotonic() > end:
                raise AssertionError(f"{what}: {expression} stayed empty; firing: {self.fired()}")
            time.sleep(0.2)
        return result

    def wait_alert(self, alert, instance):
        self.wait(f'ALERTS{{alertname="{alert}",instance="{instance}",alertstate="firing"}}',
                  f"{alert} of {instance}")
        print(f"fired: {alert} of {instance}")

    def fired(self):
        """(alert, instance) of everything that fired at any time."""
        result = self.ask('count by (alertname, instance) '
                          '(count_over_time(ALERTS{alertstate="firing"}[1h]))')
        return sorted((labels["alertname"], labels["instance"]) for labels, _ in result)

    def close(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(WAIT_SECONDS)
        self.log.close()


# --- the test ------------------------------------------------------------------------------------

def misbehave(server, stop):
    """Half of the requests get no guest's answer."""
    while not stop.is_set():
        server.get("/misbehave?trap")
        server.get("/hello")
        time.sleep(0.02)


def check_scrapes(prometheus, jobs):
    """Every target is up; the host's page came as OpenMetrics, which alone knows an info."""
    for job in jobs:
        prometheus.wait(f'up{{job="{job}"}} == 1', f"{job} is scraped")
    parts = prometheus.wait('sum by (job) (weir_rss_part_bytes{job="weir"})', "equation (a)")
    equal(parts[0][1] > MIB, True)
    equal(prometheus.get("metadata", metric="weir_build")["weir_build"][0]["type"], "info")
    prometheus.wait('weir:requests:rate5m{job="weir",route="/hello"} > 0', "requests are counted")


def run():
    stop = threading.Event()
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        server = stack.enter_context(serving())
        port = stack.enter_context(played())
        jobs, alerts = start_guards(stack, stop)
        jobs["weir"] = (server.port, "/metrics")
        jobs.update({name: (port, "/" + name) for name in PLAYED})
        alerts += [("WeirRefusing", "weir"), ("WeirMemoryLeak", "leak")]
        prometheus = Prometheus(folder, jobs)
        stack.callback(prometheus.close)
        bad = threading.Thread(target=misbehave, args=(server, stop))
        bad.start()
        stack.callback(bad.join)
        stack.callback(stop.set)
        check_scrapes(prometheus, jobs)
        for alert, instance in alerts:
            prometheus.wait_alert(alert, instance)
        # The others were watched as long: their rise is known, and is no leak.
        for name in PLAYED:
            prometheus.wait(f'weir:live_bytes:rise{{instance="{name}"}} and on (instance) '
                            f'weir:live_bytes offset {shorten("6h", GROWTH_SCALE)}', name)
        equal(prometheus.fired(), sorted(alerts), "what fired")


def main():
    parse_options()
    if shutil.which("prometheus") is None:
        skip("prometheus is not installed")
    try:
        run()
    except AssertionError as failure:
        print("FAIL", failure)
        sys.exit(1)
    print("pass")


if __name__ == "__main__":
    main()
