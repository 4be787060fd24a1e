#!/usr/bin/env python3
"""Runs a command with `--listen` on a port that is taken; its exit code is passed on."""
import socket
import subprocess
import sys

with socket.create_server(("127.0.0.1", 0)) as taken:
    port = taken.getsockname()[1]
    done = subprocess.run([*sys.argv[1:], "--listen", f"127.0.0.1:{port}"], capture_output=True,
                          text=True, check=False)
    print(done.stdout + done.stderr.replace(str(port), "PORT"), end="")
    sys.exit(done.returncode)
