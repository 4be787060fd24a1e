"""Canisters made by others' tools: compiled by the npm package motoko, and the ready-made template
of the package azle. Both are fetched once, into a folder that is kept, and checked against their
hashes.
"""
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))
from weir_fetch import npm, npm_install  # noqa: E402
from weir_outcome import skip  # noqa: E402

MOTOKO = "4.10.0"
AZLE = "0.33.0"
SHA256 = {
    "node_modules/motoko/versions/latest/moc.min.js":
        "5ff5816a3067821cdd567c6dddea60289c5d4a9f6e1dd12ad77d034fdb88db66",
    "azle/stable.wasm": "fa87d4ae38c8ce4ebc49f3cb05d0d3b1276eab19c5d26705d65fbf6e1c162806",
}
FILES = ("counter32", "counter64", "leak32", "leak64")


def check(folder, name):
    with open(os.path.join(folder, name), "rb") as file:
        found = hashlib.sha256(file.read()).hexdigest()
    assert found == SHA256[name], f"{name} has the hash {found}"


def motoko(folder):
    """Name of each module -> its file."""
    folder = os.path.abspath(folder)
    made = {name: os.path.join(folder, name + ".wasm") for name in FILES}
    sources = [os.path.join(HERE, name) for name in ("counter.mo", "leak.mo", "compile_motoko.js")]
    newest = max(os.path.getmtime(source) for source in sources)
    if all(os.path.exists(path) and os.path.getmtime(path) > newest for path in made.values()):
        return made
    if shutil.which("node") is None:
        skip("node is missing (package nodejs)")
    modules = npm_install(folder, [f"motoko@{MOTOKO}"], ["--ignore-scripts"])
    check(folder, "node_modules/motoko/versions/latest/moc.min.js")
    for width in ("32", "64"):
        subprocess.run(["node", os.path.join(HERE, "compile_motoko.js"), modules, HERE, folder,
                        width], check=True)
    return made


def azle(folder):
    """The file of the template."""
    folder = os.path.abspath(folder)
    path = os.path.join(folder, "azle", "stable.wasm")
    if not os.path.exists(path):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as new:
            npm(new, "pack", [f"azle@{AZLE}"])
            subprocess.run(["tar", "-xzf", f"azle-{AZLE}.tgz", "--strip-components=3",
                            "package/dist/canister_templates/stable.wasm"], cwd=new, check=True)
            os.rename(os.path.join(new, "stable.wasm"), path)
    check(folder, "azle/stable.wasm")
    return path
