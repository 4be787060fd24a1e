#!/usr/bin/env python3
"""The server as a service: what a stop does to every kind of request in flight, sockets that come
with the start, and the states that a service manager is told; this script plays the manager."""
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

from weir_http import CONFIG, PATIENCE, Options, equal, parse_options, serving, until
from weir_port import free_port


# --- draining ---------------------------------------------------------------------------------

DRAIN = (CONFIG.replace("_timeout: 3s", "_timeout: 600s").replace("time: 2s", "time: 600s"))


def read_answer(client):
    data = b""
    while part := client.recv(65536):
        data += part
    return data


def ask_all(server):
    """One connection each: loops, sleeps, ends in time, a body that stays away, one that comes."""
    clients = {}
    for name, head in (("loop", "GET /misbehave?loop"), ("sleep", "GET /misbehave?sleep"),
                       ("late", "POST /transform"), ("soon", "POST /echo")):
        clients[name] = server.socket()
        length = "Content-Length: 10\r\n" if "POST" in head else ""
        clients[name].sendall(f"{head} HTTP/1.1\r\nHost: x\r\n{length}\r\n".encode())
    for name in ("late", "soon"):
        clients[name].sendall(b"12345")
    server.wait_active(4)
    clients["drip"] = server.socket()
    clients["drip"].sendall(b"GET /misbehave?drip HTTP/1.1\r\nHost: x\r\n\r\n")
    equal(clients["drip"].recv(12), b"HTTP/1.1 200", "the answer has begun")
    return clients


def until_draining(connection):
    """Until a connection that was open before sees /readyz fail."""
    def is_draining():
        connection.request("GET", "/readyz")
        response = connection.getresponse()
        response.read()
        return response.status == 503
    until("it drains", is_draining)


def answers_all():
    """At the bound each request has an answer: none is reset, none is silent."""
    with serving(DRAIN.replace("drain_timeout: 600s", "drain_timeout: 5s")) as server:
        clients = ask_all(server)
        begin = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        clients["soon"].sendall(b"67890")
        answers = {name: read_answer(client) for name, client in clients.items()}
        code = server.process.wait(PATIENCE)
        seconds = time.monotonic() - begin
        for name, wanted, word in (("loop", 503, b"cancelled"), ("sleep", 503, b"cancelled"),
                                   ("late", 503, b"draining"), ("soon", 200, b"1234567890"),
                                   ("drip", 200, b"drop")):
            status = (b"HTTP/1.1 200" if name == "drip" else b"") + answers[name].split(b"\r\n")[0]
            equal(status.startswith(b"HTTP/1.1 %d " % wanted), True, f"{name}: {answers[name]}")
            equal(word in answers[name], True, f"{name}: {answers[name]}")
        equal(code, 17, "requests were cancelled")
        equal(seconds > 4.5, True, f"after the bound: {seconds}")
        for client in clients.values():
            client.close()


def hurries():
    """A second SIGTERM does not wait for the bound."""
    with serving(DRAIN) as server:
        connection = server.connect()
        connection.connect()
        clients = ask_all(server)
        server.process.send_signal(signal.SIGTERM)
        until_draining(connection)
        connection.close()
        equal(server.process.poll(), None, "it waits")
        server.process.send_signal(signal.SIGTERM)
        equal(server.process.wait(PATIENCE), 17, "cancelled")
        for name in ("loop", "sleep", "late"):
            equal(read_answer(clients[name]).startswith(b"HTTP/1.1 503 "), True, name)
        for client in clients.values():
            client.close()


def is_not_ready():
    """A connection that is open sees /readyz fail from the signal on."""
    with serving(DRAIN) as server:
        connection = server.connect()
        connection.request("GET", "/readyz")
        equal(connection.getresponse().read(), b"ready\n")
        looping = server.socket()
        looping.sendall(b"GET /misbehave?loop HTTP/1.1\r\nHost: x\r\n\r\n")
        server.wait_active(1)
        server.process.send_signal(signal.SIGTERM)
        until_draining(connection)
        connection.request("GET", "/healthz")
        equal(connection.getresponse().read(), b"ok\n", "but alive")
        server.process.send_signal(signal.SIGTERM)
        equal(server.process.wait(PATIENCE), 17)
        connection.close()
        looping.close()


# --- a service manager ------------------------------------------------------------------------

class Manager:
    """Starts `weir serve` as systemd does: sockets from descriptor 3 on, states by datagram."""

    def __init__(self, sockets, config=CONFIG, names=None, env=None):
        self.folder = tempfile.TemporaryDirectory()
        folder = self.folder.name
        self.path = os.path.join(folder, "weir.yaml")
        os.mkdir(os.path.join(folder, "spool"))
        self.put(config)
        self.states = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.states.bind(os.path.join(folder, "notify"))
        self.states.settimeout(60)
        variables = {**os.environ, "NOTIFY_SOCKET": os.path.join(folder, "notify"),
                     "LISTEN_FDS": str(len(sockets)), **(env or {})}
        if names is not None:
            variables["LISTEN_FDNAMES"] = names
        # A shell moves the sockets to their places and knows its own id.
        moves = " ".join([f"{3 + i}<&{made.fileno()}" for i, made in enumerate(sockets)] +
                         [f"{made.fileno()}<&-" for made in sockets
                          if made.fileno() >= 3 + len(sockets)])
        script = f'LISTEN_PID=$$ exec "$@" {moves}' if sockets else 'LISTEN_PID=$$ exec "$@"'
        if env and "LISTEN_PID" in env:
            script = script.replace("LISTEN_PID=$$ ", "")
        self.log = open(os.path.join(folder, "log"), "a", encoding="utf-8")
        self.process = subprocess.Popen(
            ["bash", "-c", script, "sh", Options.program, "serve", "--quiet", "--config", self.path,
             "--modules", Options.guests, "--listen", "127.0.0.1:0"],
            env=variables, pass_fds=[made.fileno() for made in sockets], stdout=subprocess.PIPE,
            stderr=self.log, text=True)

    def put(self, config):
        folder = self.folder.name
        with open(self.path, "w", encoding="utf-8") as file:
            file.write(config.format(cache=os.path.join(folder, "cache"),
                                     spool=os.path.join(folder, "spool")))

    def state(self, name):
        """The datagram that has this variable; earlier ones are passed over."""
        while True:
            fields = dict(line.split("=", 1) for line in
                          self.states.recv(4096).decode().splitlines())
            if name in fields:
                return fields

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self.states.close()
        self.log.close()
        self.folder.cleanup()


def listening(family=socket.AF_INET, address=("127.0.0.1", 0)):
    made = socket.socket(family)
    made.bind(address)
    made.listen(100)
    made.set_inheritable(True)
    return made


def get(address, path, method="GET", family=socket.AF_INET):
    client = socket.socket(family)
    client.settimeout(PATIENCE)
    client.connect(address)
    client.sendall(f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n"
                   f"Connection: close\r\n\r\n".encode())
    answer = read_answer(client)
    client.close()
    return int(answer.split()[1]), answer.split(b"\r\n\r\n", 1)[1]


def takes_sockets():
    """TCP, a UNIX socket beside it, and one named control, which alone may change things."""
    with tempfile.TemporaryDirectory() as folder:
        token = os.path.join(folder, "token")
        with open(token, "w", encoding="ascii",
                  opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
            file.write("t" * 32)
        first, unix = listening(), listening(socket.AF_UNIX, folder + "/public")
        control = listening(socket.AF_UNIX, folder + "/control")
        config = f"control: {{{{ token: {token}, upload_max: 1MiB }}}}\n" + CONFIG
        manager = Manager([first, unix, control], config, "web:web:control")
        try:
            ready = manager.state("READY")
            port = first.getsockname()[1]
            equal(ready["STATUS"], f"Serving at http://127.0.0.1:{port}")
            equal(manager.process.stdout.readline(), f"http://127.0.0.1:{port}\n")
            equal(get(first.getsockname(), "/hello"), (200, b"hello, world\n"))
            for path, wanted in ((folder + "/public", 401), (folder + "/control", 404)):
                equal(get(path, "/hello", family=socket.AF_UNIX), (200, b"hello, world\n"), path)
                equal(get(path, "/v1/modules/x.wasm", "DELETE", socket.AF_UNIX)[0], wanted, path)
            # A restart loses nobody: who connects meanwhile is answered by the next process.
            manager.process.send_signal(signal.SIGTERM)
            equal(manager.state("STOPPING")["STATUS"].startswith("Stopping: "), True)
            equal(manager.process.wait(PATIENCE), 0)
            answers = []
            thread = threading.Thread(
                target=lambda: answers.append(get(first.getsockname(), "/hello")))
            thread.start()
            again = Manager([first, unix, control], config, "web:web:control")
            again.state("READY")
            thread.join()
            equal(answers, [(200, b"hello, world\n")], "waited for the next process")
            again.close()
        finally:
            manager.close()
            for made in (first, unix, control):
                made.close()


def tells_states():
    manager = Manager([], env={"WATCHDOG_USEC": "200000"})
    try:
        compiling = manager.state("EXTEND_TIMEOUT_USEC")
        equal(compiling["STATUS"].startswith("compiling "), True, compiling)
        manager.state("READY")
        for _ in range(3):
            manager.state("WATCHDOG")
        before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        manager.process.send_signal(signal.SIGHUP)
        usec = int(manager.state("RELOADING")["MONOTONIC_USEC"])
        equal(before <= usec <= time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000, True)
        manager.state("READY")
        manager.process.send_signal(signal.SIGTERM)
        manager.state("STOPPING")
        equal(manager.process.wait(PATIENCE), 0)
    finally:
        manager.close()


def refuses_bad_variables():
    first = listening()
    datagram = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    datagram.set_inheritable(True)
    for sockets, names, env, what in (
            ([datagram], None, {}, "descriptor 3 is no listening"),
            ([first], "a:b", {}, "more names than LISTEN_FDS"),
            ([first], None, {"LISTEN_FDS": "9"}, "LISTEN_FDS"),
            ([first], None, {"LISTEN_FDS": "2"}, "descriptor 4 is no listening"),
            ([], None, {"WATCHDOG_USEC": "soon"}, "WATCHDOG_USEC"),
            ([], None, {"NOTIFY_SOCKET": "here"}, "NOTIFY_SOCKET")):
        manager = Manager(sockets, names=names, env=env)
        equal(manager.process.wait(PATIENCE), 21, what)
        with open(manager.log.name, encoding="utf-8") as file:
            equal(what in file.read(), True, what)
        manager.close()
    # For another process: as if there were none.
    manager = Manager([first], env={"LISTEN_PID": "1"})
    manager.state("READY")
    equal(f":{first.getsockname()[1]}\n" in manager.process.stdout.readline(), False)
    manager.close()
    first.close()
    datagram.close()


def starts_by_systemd_socket_activate():
    """The real thing, where it is installed."""
    if not shutil.which("systemd-socket-activate"):
        print("no systemd-socket-activate here")
        return
    port = free_port()
    with serving() as server:  # its folder and configuration
        path = os.path.join(server.folder.name, "weir.yaml")
        activated = subprocess.Popen(
            ["systemd-socket-activate", "-l", f"127.0.0.1:{port}", Options.program, "serve", "-q",
             "--config", path, "--modules", Options.guests],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        def answer():
            try:
                return get(("127.0.0.1", port), "/hello")
            except ConnectionRefusedError:
                equal(activated.poll(), None, "systemd-socket-activate runs")
                return None
        equal(until("the socket is there", answer), (200, b"hello, world\n"))
        equal(activated.stdout.readline(), f"http://127.0.0.1:{port}\n")
        activated.terminate()
        equal(activated.wait(PATIENCE), 0)
        activated.stdout.close()


def main():
    parse_options()
    for test in (answers_all, hurries, is_not_ready, takes_sockets, tells_states,
                 refuses_bad_variables, starts_by_systemd_socket_activate):
        test()
        print("pass", test.__name__)


if __name__ == "__main__":
    try:
        main()
    except (AssertionError, subprocess.TimeoutExpired) as failure:
        print("FAIL", failure)
        sys.exit(1)
