#!/usr/bin/env python3
"""A stand-in for a node behind a gateway: answers POST with the body it got, GET /health, /denied
with 403, and a WebSocket upgrade with an echo. Counts what reaches it.

usage: stand_in_node.py (prints its port)
"""
import base64
import hashlib
import http.server
import socketserver
import struct
import threading

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def accept_key(key):
    return base64.b64encode(hashlib.sha1(key.encode() + GUID).digest()).decode()


def read_frame(stream):
    """(opcode, payload) of one short frame, unmasked; None at the end."""
    head = stream.read(2)
    if len(head) < 2:
        return None
    size = head[1] & 127
    mask = stream.read(4) if head[1] & 128 else b"\0\0\0\0"
    data = stream.read(size)
    return head[0] & 15, bytes(byte ^ mask[i % 4] for i, byte in enumerate(data))


def frame(opcode, payload, mask=None):
    head = struct.pack("BB", 128 | opcode, len(payload) | (128 if mask else 0))
    if mask:
        payload = mask + bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))
    return head + payload


class Node(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    counts = {"http": 0, "websocket": 0, "health": 0}

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        if self.headers.get("Upgrade", "").lower() == "websocket":
            return self.websocket()
        if self.path == "/health":
            self.counts["health"] += 1
            return self.answer(200, b"alive")
        self.counts["http"] += 1
        return self.answer(403 if self.path == "/denied" else 200, b"node says " +
                           self.path.encode())

    def do_POST(self):
        self.counts["http"] += 1
        self.answer(200, self.rfile.read(int(self.headers.get("Content-Length", 0))))

    def websocket(self):
        self.counts["websocket"] += 1
        self.send_response(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        self.send_header("Sec-WebSocket-Accept", accept_key(self.headers["Sec-WebSocket-Key"]))
        self.end_headers()
        while (got := read_frame(self.rfile)) is not None:
            self.wfile.write(frame(*got))
            if got[0] == 8:
                break
        self.close_connection = True

    def log_message(self, format, *arguments):  # nobody reads it
        pass


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    request_queue_size = 128


def start():
    """(server, port), serving on a thread of its own."""
    server = Server(("127.0.0.1", 0), Node)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server, server.server_address[1]


if __name__ == "__main__":
    port = start()[1]
    print(port, flush=True)
    threading.Event().wait()
