"""A memory cgroup for tests: version 1 or 2, made below the root, removed at the end. Needs root.
"""
import os
import time


class Cgroup:
    def __init__(self, name, limit=None):
        """OSError when none can be made here."""
        name = f"weir-test-{name}-{os.getpid()}"
        if os.path.isdir("/sys/fs/cgroup/memory"):
            self.path = f"/sys/fs/cgroup/memory/{name}"
            self.limit_file, self.version = "memory.limit_in_bytes", 1
        else:
            self.path = f"/sys/fs/cgroup/{name}"
            self.limit_file, self.version = "memory.max", 2
        os.mkdir(self.path)
        try:
            if limit is not None:
                self.write(self.limit_file, limit)
        except OSError:
            self.remove()
            raise

    def enter(self):
        """A command in front of another one, which then begins inside."""
        return ("sh", "-c", f'echo $$ >{self.path}/cgroup.procs && exec "$@"', "sh")

    def write(self, name, value):
        with open(f"{self.path}/{name}", "w", encoding="ascii") as file:
            file.write(str(value))

    def read(self, name, key=None):
        with open(f"{self.path}/{name}", encoding="ascii") as file:
            if key is None:
                return int(file.read())
            return dict(line.split() for line in file)[key]

    def oom_kills(self):
        name = "memory.oom_control" if self.version == 1 else "memory.events"
        return int(self.read(name, "oom_kill"))

    def peak(self):
        name = "memory.max_usage_in_bytes" if self.version == 1 else "memory.peak"
        return self.read(name) if os.path.exists(f"{self.path}/{name}") else 0

    def remove(self):
        for _ in range(50):
            try:
                os.rmdir(self.path)
                return
            except FileNotFoundError:
                return
            except OSError:
                time.sleep(0.1)
