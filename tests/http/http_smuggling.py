#!/usr/bin/env python3
"""Heads that a proxy in front may understand otherwise: each is refused with a reason, and nothing
behind it in the same bytes is taken for a request."""
import json
import socket

from weir_http import equal, main

HIDDEN = b"GET /hello?name=HIDDEN HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
POST = b"POST /echo HTTP/1.1\r\nHost: x\r\n"
GET = b"GET /echo HTTP/1.1\r\nHost: x\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
END = b"\r\n0\r\n\r\n"

# What is sent, and a word of the reason; None: libmicrohttpd refuses before Weir sees it.
REFUSED = [
    (POST + b"Content-Length: 4\r\n" + CHUNKED + END, "both Content-Length"),
    (POST + CHUNKED + b"Content-Length: 6\r\n" + END, "both Content-Length"),
    (POST + b"Content-Length: 0\r\nContent-Length: 60\r\n\r\n", "two Content-Lengths"),
    (POST + b"Content-Length: 60\r\ncontent-length: 0\r\n\r\n", "two Content-Lengths"),
    (POST + CHUNKED + b"Transfer-Encoding: identity\r\n" + END, "other than chunked"),
    (POST + CHUNKED + CHUNKED + END, "other than chunked"),
    (POST + b"Transfer-Encoding: xchunked\r\n" + END, "other than chunked"),
    (POST + b"Transfer-Encoding: gzip, chunked\r\n" + END, "other than chunked"),
    (POST + b"Transfer-Encoding : chunked\r\n" + END, "the name of a header field"),
    (POST.replace(b"1.1", b"1.0") + CHUNKED + END, "HTTP/1.0"),
    (POST + b"Transfer-Encodin: chunked\r\n g\r\n" + END, "second line"),
    (POST + b"X-A: one\r\n\tContent-Length: 60\r\n\r\n", "second line"),
    (GET + b"X-A: one\r\n \r\n\r\n", "second line"),
    (b"GET /echo HTTP/1.1\r\n X-A: one\r\nHost: x\r\n\r\n", "the name of a header field"),
    (GET + b"X-A: one\rX-B: two\r\n\r\n", "field X-A has a CR"),
    (GET + b"X(A: 1\r\n\r\n", "the name of a header field"),
    (GET + b"Host: y\r\n\r\n", "more than one Host"),
    (b"GET /echo HTTP/1.1\r\n\r\n", "no Host"),
    (b"G(T /echo HTTP/1.1\r\nHost: x\r\n\r\n", "the method"),
    (b"CONNECT /echo HTTP/1.1\r\nHost: x\r\n\r\n", "CONNECT"),
    (POST + b"Content-Length: 3, 3\r\n\r\n", None),
    (POST + b"Content-Length: +3\r\n\r\n", None),
    (POST + b"Content-Length: 0x3\r\n\r\n", None),
    (POST + CHUNKED + b"\r\n0x3\r\nabc\r\n0\r\n\r\n", None),
    (POST + CHUNKED + b"\r\n3\r\nabcdef\r\n0\r\n\r\n", None),
    (b"GET /echo HTTP/2.0\r\nHost: x\r\n\r\n", None),
]


def ask(server, text):
    """All that comes back until the server ends the connection, which it must."""
    got = b""
    with server.socket() as raw:
        raw.sendall(text)
        try:
            while chunk := raw.recv(65536):
                got += chunk
        except ConnectionResetError:
            pass  # what it had not read was still there
    return got


def test_two_meanings_are_refused(server):
    for text, reason in REFUSED:
        got = ask(server, text + HIDDEN)
        equal(b"HIDDEN" in got or b" 200 OK" in got, False, text)
        if reason is None:
            continue
        head, _, body = got.partition(b"\r\n\r\n")
        equal(head.split(b"\r\n")[0], b"HTTP/1.1 400 Bad Request", text)
        equal(b"\r\nConnection: close" in head, True, text)
        refusal = json.loads(body)
        equal((refusal["error"], reason in refusal["reason"]), ("bad_request", True), refusal)


def test_targets(server):
    for target in (b"/echo a", b"/echo?a\x01", b"/echo/\x7f"):
        got = ask(server, b"GET " + target + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        equal(b'{"error":"target"' in got, True, got)


def test_one_meaning_is_taken(server):
    for text, wanted in (
            (POST + b"Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc", b"CONTENT_LENGTH=3\n"),
            (POST + b"Transfer-Encoding:\tCHUNKED\r\n\r\n3;a=b\r\nabc\r\n0\r\nX-T: 1\r\n\r\n",
             b"\n\nabc"),
            (b"POST /echo HTTP/1.1\nHost:x\nContent-Length: 3\n\nabc", b"\n\nabc"),
            (GET + b"X-Tab: a\tb\r\nX-High: \xff\r\nX-Empty:\r\n\r\n", b"HTTP_X_TAB=a\tb\n"),
            (b"GET /echo HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
             b"SERVER_PROTOCOL=HTTP/1.0\n"),
            (b"GET http://other/echo HTTP/1.1\r\nHost: x\r\n\r\n", b"SCRIPT_NAME=/echo\n"),
            (b"\r\n\r\n" + GET + b"\r\n", b"REQUEST_METHOD=GET\n")):
        got = ask(server, text + HIDDEN)  # a second request in the same bytes, and no secret
        equal((got.count(b" 200 OK"), wanted in got, b"hello, HIDDEN" in got), (2, True, True),
              (text, got))


def test_variables_cannot_be_forged(server):
    got = ask(server, GET + b"Proxy: e\r\nPROXY: e\r\nX_Real_IP: 1\r\nX-Real-IP: 2\r\n"
              b"X.Real.IP: 3\r\nRoute: no\r\nContent-Type: a\r\nConnection: close\r\n\r\n")
    lines = got.split(b"\n")
    equal(b"HTTP_X_REAL_IP=2" in lines and b"ROUTE=yes" in lines, True, got)
    equal(b"HTTP_PROXY" in got or b"HTTP_CONTENT_TYPE" in got, False, got)


def test_a_slow_head_is_read_the_same(server):
    """The field and the line that continues it come in different packets."""
    with server.socket() as raw:
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in (POST + b"Transfer-Encodin: chu", b"nked\r\n", b" g\r", b"\n\r\n" + END):
            raw.sendall(piece)
            server.get("/healthz")  # the server has had a turn
        got = raw.recv(65536)
    equal(got.startswith(b"HTTP/1.1 400 "), True, got)


if __name__ == "__main__":
    main([test for name, test in list(globals().items()) if name.startswith("test_")])
