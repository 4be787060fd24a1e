"""What the tests of gateways share: a client with WebSockets, and what every gateway must do."""
import base64
import contextlib
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess

import stand_in_node
from weir_guard import MIB, equal, figures, holds, put, until

GUARD = ("--mem-free-limit", "100MiB", "--leave-free", "150MiB", "--transitions", "60")


class Client:
    def __init__(self, port):
        self.port = port

    def request(self, method, path, body=None, headers=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            return response.status, dict(response.getheaders()), response.read()
        finally:
            connection.close()

    def status(self, path="/rpc"):
        """0 while nobody answers."""
        try:
            return self.request("POST", path, b"{}")[0]
        except OSError:
            return 0

    @contextlib.contextmanager
    def websocket(self):
        """(status, headers, send(text) -> text) of an upgrade."""
        key = base64.b64encode(os.urandom(16)).decode()
        with socket.create_connection(("127.0.0.1", self.port), 60) as connection:
            connection.sendall((f"GET /ws HTTP/1.1\r\nHost: node\r\nUpgrade: websocket\r\n"
                                f"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                                f"Sec-WebSocket-Key: {key}\r\n\r\n").encode())
            stream = connection.makefile("rb")
            status = int(stream.readline().split()[1])
            headers = http.client.parse_headers(stream)
            if status == 101:
                equal(headers["Sec-WebSocket-Accept"], stand_in_node.accept_key(key))

            def send(text):
                connection.sendall(stand_in_node.frame(1, text.encode(), os.urandom(4)))
                opcode, data = stand_in_node.read_frame(stream)
                equal(opcode, 1)
                return data.decode()

            yield status, headers, send


def check_refusal(answer, path):
    """A gateway's answer is the guard's: 429, Retry-After and the JSON body."""
    status, headers, body = answer
    headers = {name.lower(): value for name, value in headers.items()}
    equal(status, 429, body)
    equal(headers["content-type"], "application/json")
    holds(int(headers["retry-after"]) >= 1, headers)
    refusal = json.loads(body)
    equal(refusal["reason"], "free memory below mem_free_limit")
    equal(refusal["limit_bytes"], 1000 * MIB)
    equal(refusal["binding"], path)


def check_gateway(client, guard, path):
    """Admitted, refused, exempt, WebSockets before and during, and recovery by state."""
    node = stand_in_node.Node
    until(lambda: client.status() == 200, "the gateway answers")
    equal(client.request("POST", "/rpc?x=1", b'{"id":1}')[2], b'{"id":1}', "the node's answer")
    equal(client.request("GET", "/denied")[0], 403, "the node's own 403")
    with client.websocket() as (status, _, send):
        equal(status, 101)
        equal(send("hello"), "hello")
        put(path, figures(1000, 950))
        until(guard.refusal, "the guard refuses")
        equal(send("still there"), "still there", "an open WebSocket goes on")
        before = dict(node.counts)
        check_refusal(client.request("POST", "/rpc", b"{}"), path)
        check_refusal(client.request("GET", "/"), path)
        with client.websocket() as (status, headers, _):
            equal(status, 429, "a WebSocket under pressure")
            holds(int(headers["Retry-After"]) >= 1, headers)
        equal(client.request("GET", "/health")[0], 200, "the health check is exempt")
        equal({**node.counts, "health": 0}, {**before, "health": 0}, "what reached the node")
    put(path, figures(1000, 100))
    guard.until_state("normal")
    equal(client.status(), 200, "after the pressure")
    with client.websocket() as (status, _, send):
        equal((status, send("again")), (101, "again"))


@contextlib.contextmanager
def process(arguments, log):
    """A program that is ended with SIGTERM, or else killed."""
    with open(log, "w", encoding="utf-8") as file:
        program = subprocess.Popen(arguments, stdout=file, stderr=file)
    try:
        yield program
    except Exception:
        with open(log, encoding="utf-8", errors="replace") as file:
            print(f"log of {arguments[0]}:\n{file.read()[-4000:]}")
        raise
    finally:
        if program.poll() is None:
            program.send_signal(signal.SIGTERM)
        try:
            program.wait(20)
        except subprocess.TimeoutExpired:
            program.kill()
            program.wait()


def substitute(text, replacements):
    """Each pattern must be found, or the example was changed without this test."""
    for pattern, replacement in replacements:
        text, count = re.subn(pattern, replacement, text)
        holds(count > 0, f"the example has no {pattern}")
    return text


def find_program(*names):
    for name in names:
        path = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
        if path:
            return path
    return None
