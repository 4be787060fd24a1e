"""The peers: what is there, and how it is started. What is missing is named with its reason."""
import glob
import os
import re
import shutil
import subprocess
import sys

WASMTIME = "50.0.1"  # bench/peers/wasmtime_api.h has the layouts of this release
NODE_MAJOR_MIN = 20

# V8 with its baseline compiler only: --no-wasm-tier-up alone still tiers up.
LIFTOFF = ["--liftoff-only"]
LIFTOFF_COMPILE = ["--liftoff-only", "--no-wasm-lazy-compilation", "--wasm-num-compilation-tasks=1"]


class Peers:
    """Finds node and Wasmtime's library; `may_install` lets pip fetch the latter into the build
    tree."""

    def __init__(self, root, build, may_install):
        self.script = os.path.join(root, "bench/peers/v8.mjs")
        self.driver = os.path.join(build, "bench/peer_wasmtime")
        self.folder = os.path.join(build, "bench/peers")
        self.skipped = {}
        self.versions = {}
        self.node = self.find_node()
        self.library = self.find_wasmtime(may_install)

    def find_node(self):
        node = shutil.which("node")
        if node is None:
            self.skipped["V8"] = "node is not installed (package nodejs has an old one; see " \
                                 "bench/README.md)"
            return None
        version = subprocess.run([node, "--version"], capture_output=True, text=True).stdout.strip()
        found = re.match(r"v(\d+)", version)
        if not found or int(found[1]) < NODE_MAJOR_MIN:
            self.skipped["V8"] = f"node is {version or 'broken'}, not {NODE_MAJOR_MIN} or later"
            return None
        self.versions["node"] = version
        return node

    def find_wasmtime(self, may_install):
        pattern = os.path.join(self.folder, "lib/python3*/site-packages/wasmtime/*/_libwasmtime.so")
        found = glob.glob(pattern)
        if not found and may_install:
            self.install_wasmtime()
            found = glob.glob(pattern)
        if found:
            self.versions["wasmtime"] = WASMTIME
            return found[0]
        self.skipped.setdefault("Wasmtime", "its wheel is not in the build tree; bench/run fetches "
                                            "it without --offline")
        return None

    def install_wasmtime(self):
        for command in ([sys.executable, "-m", "venv", self.folder],
                        [os.path.join(self.folder, "bin/pip"), "install", "--quiet",
                         "--disable-pip-version-check", f"wasmtime=={WASMTIME}"]):
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode != 0:
                words = (done.stderr or done.stdout).strip().splitlines() or ["no message"]
                self.skipped["Wasmtime"] = f"{os.path.basename(command[0])}: {words[-1]}"
                return

    def v8(self, flags, *arguments):
        """The command, or None."""
        return self.node and [self.node, *flags, self.script, *arguments]

    def wasmtime(self, *arguments):
        return self.library and [self.driver, self.library, *arguments]
