"""A port for a program that can be given no port 0."""
import random
import socket


def free_port():
    """One of 127.0.0.1 that nobody has. Not one of those that the kernel gives to connections and
    to port 0, or one of these would now and then have it before the program listens."""
    with open("/proc/sys/net/ipv4/ip_local_port_range", encoding="ascii") as file:
        low, high = map(int, file.read().split())
    ports = [port for port in range(10000, 65536) if not low <= port <= high]
    while True:
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", random.choice(ports or range(10000, 65536))))
            except OSError:
                continue
            return probe.getsockname()[1]
