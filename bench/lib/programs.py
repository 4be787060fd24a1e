"""Starting what measures: programs that print one JSON object, and drivers that answer lines."""
import json
import os
import subprocess


class BenchError(Exception):
    pass


def environment(build):
    return {**os.environ, "WEIR_LIBEXEC": os.path.join(build, "libexec/weir")}


def run_json(command, build):
    done = subprocess.run(command, capture_output=True, text=True, env=environment(build))
    if done.returncode != 0:
        raise BenchError(f"{' '.join(command)} ended with {done.returncode}: "
                         f"{done.stderr.strip()[-500:]}")
    try:
        return json.loads(done.stdout)
    except json.JSONDecodeError as error:
        raise BenchError(f"{' '.join(command)} printed no JSON: {error}") from None


class Driver:
    """A process with a compute guest in it: each run() is one line there and one back."""

    def __init__(self, command, build):
        self.name = " ".join(command)
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True, env=environment(build))
        if self.process.stdout.readline() != "\n":
            self.fail("did not start")

    def fail(self, what):
        self.process.kill()
        raise BenchError(f"{self.name} {what}")

    def run(self):
        """Nanoseconds and checksum."""
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        words = self.process.stdout.readline().split()
        if len(words) != 2:
            self.fail("gave no answer")
        return float(words[0]), words[1]

    def close(self):
        self.process.stdin.close()
        if self.process.wait() != 0:
            raise BenchError(f"{self.name} ended with {self.process.returncode}")


def interleaved(commands, rounds, build):
    """Each command `rounds` times, in turn, beginning with another one each time; its objects by
    name. Commands that are None are left out."""
    names = [name for name, command in commands.items() if command]
    results = {name: [] for name in names}
    for index in range(rounds):
        shift = index % len(names)
        for name in names[shift:] + names[:shift]:
            results[name].append(run_json(commands[name], build))
    return results
