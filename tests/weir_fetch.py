"""How a test in Python brings what it needs from package registries, by their own clients.

npm and Cargo try again by themselves when the way there fails for a moment; Go does not, so that is
done here. What a package is unpacked to is in its place whole or not at all: a test that is killed
meanwhile leaves nothing that the next one would take for it.
"""
import contextlib
import fcntl
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time

from weir_outcome import skip

PAUSES = (1, 5)  # seconds, before the second attempt and the third
SECONDS_MAX = 900  # all attempts together: less than the test may take, so that it can say why
# What the go command says when it cannot reach a registry.
UNREACHABLE = re.compile(r"dial tcp|i/o timeout|no such host|connection re(fused|set)|proxyconnect"
                         r"|module lookup disabled|TLS handshake|unexpected EOF|deadline exceeded"
                         r"|403 Forbidden|429 Too Many|50[0234] [A-Z]")


def run_for(seconds, command, **options):
    """The ended process; with all its children it gets so many seconds."""
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, start_new_session=True,
                          **options) as process:
        try:
            out, err = process.communicate(timeout=seconds)
        except BaseException as ended:
            os.killpg(process.pid, signal.SIGKILL)
            if not isinstance(ended, subprocess.TimeoutExpired):
                raise
            skip(f"{' '.join(command)} fetched for {SECONDS_MAX} s and was not done")
    return subprocess.CompletedProcess(command, process.returncode, out, err)


def fetch(command, **options):
    """The ended process, which is tried again where Go could not reach a registry."""
    end = time.monotonic() + SECONDS_MAX
    for pause in (*PAUSES, None):
        done = run_for(end - time.monotonic(), command, **options)
        if done.returncode == 0 or pause is None or not UNREACHABLE.search(done.stdout +
                                                                           done.stderr):
            return done
        time.sleep(pause)
    raise AssertionError("the last attempt returns")


def reason(done):
    """The line that tells most: npm's first sentence, the last line of the others."""
    lines = [line.strip() for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    sentences = [line for line in lines if re.match(r"npm (error|ERR!) (?!code |syscall |errno )",
                                                    line)]
    return (sentences[:1] or lines[-1:] or [f"exit {done.returncode}"])[0]


def go_module(go, module, environment):
    """What `go mod download` knows of it: Dir, Sum. Skips where it cannot be fetched."""
    with tempfile.TemporaryDirectory() as folder:
        with open(os.path.join(folder, "go.mod"), "w", encoding="ascii") as file:
            file.write("module weir.test/fetch\n\ngo 1.19\n")
        done = fetch([go, "mod", "download", "-json", module], cwd=folder, env=environment)
    if done.returncode == 0:
        return json.loads(done.stdout)
    with contextlib.suppress(ValueError):
        done.stderr = json.loads(done.stdout)["Error"]
    if UNREACHABLE.search(done.stderr):
        skip(f"{module} cannot be fetched: {reason(done)}")
    raise SystemExit(f"{module}: {done.stderr}")


def npm(folder, command, packages):
    """Runs an npm command in the folder."""
    if shutil.which("npm") is None:
        skip("npm is missing (package npm)")
    done = fetch(["npm", command, "--loglevel=error", *packages], cwd=folder)
    if done.returncode != 0:
        skip(f"npm cannot fetch {' '.join(packages)}: {reason(done)}")


def npm_install(folder, packages, flags=()):
    """The folder node_modules with these packages, which is there afterwards."""
    modules = os.path.join(folder, "node_modules")
    listing = os.path.join(modules, "installed")
    wanted = "\n".join(packages)
    if os.path.exists(listing):
        with open(listing, encoding="ascii") as file:
            if file.read() == wanted:
                return modules
    os.makedirs(folder, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as new:
        npm(new, "install", ["--no-save", "--no-audit", "--no-fund", "--prefix", ".", *flags,
                             *packages])
        with open(os.path.join(new, "node_modules/installed"), "w", encoding="ascii") as file:
            file.write(wanted)
        shutil.rmtree(modules, ignore_errors=True)
        os.rename(os.path.join(new, "node_modules"), modules)
    return modules


@contextlib.contextmanager
def alone(folder):
    """One process at a time works on what is fetched into the folder."""
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "lock"), "w", encoding="ascii") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
