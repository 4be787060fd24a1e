#!/usr/bin/env python3
"""CosmWasm's own test contracts, fetched and held against contracts.sha256, and what runs on them.

usage: contracts.py --into DIR --real BUILD/tests/contract_real      the check program
       contracts.py --into DIR --program BUILD/bin/weir              `weir contract`
       contracts.py --into DIR --peer BUILD/tests/contract_peer --script contract_script.wasm
                                                                     beside libwasmvm

Those of the crate cosmwasm-vm come by Cargo, those of the Go module wasmvm by Go.
"""
import argparse
import base64
import glob
import hashlib
import json
import os
import re
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path += [os.path.join(HERE, ".."), os.path.join(HERE, "../node")]
sys.dont_write_bytecode = True

from stand_in import find_go, go_environment  # noqa: E402
from weir_fetch import alone, fetch, go_module, reason  # noqa: E402
from weir_outcome import equal, skip  # noqa: E402

CRATE = "3.0.2"
MODULE = "github.com/CosmWasm/wasmvm/v3@v3.0.7"
CARGO_MIN = (1, 70)  # asks the registry for single crates


def fetch_crate(into):
    """The crate's testdata; Cargo wants a package that depends on it."""
    cargo = shutil.which("cargo")
    version = subprocess.run([cargo, "--version"], capture_output=True, text=True,
                             check=False).stdout if cargo else ""
    found = re.search(r"(\d+)\.(\d+)", version)
    if not found or (int(found[1]), int(found[2])) < CARGO_MIN:
        skip(f"no cargo {'.'.join(map(str, CARGO_MIN))} or later, which fetches cosmwasm-vm")
    package = os.path.join(into, "fetch")
    os.makedirs(os.path.join(package, "src"), exist_ok=True)
    with open(os.path.join(package, "Cargo.toml"), "w", encoding="ascii") as file:
        file.write('[package]\nname = "fetch"\nversion = "0.0.0"\nedition = "2021"\n'
                   f'[dependencies]\ncosmwasm-vm = "={CRATE}"\n')
    with open(os.path.join(package, "src/main.rs"), "w", encoding="ascii") as file:
        file.write("fn main() {}\n")
    done = fetch([cargo, "fetch", "--quiet"], cwd=package)
    home = os.environ.get("CARGO_HOME", os.path.expanduser("~/.cargo"))
    folders = glob.glob(os.path.join(home, f"registry/src/*/cosmwasm-vm-{CRATE}/testdata"))
    if done.returncode != 0 or not folders:
        skip(f"cosmwasm-vm cannot be fetched: {reason(done)}")
    return folders[0]


def fetch_module():
    """The folder of the Go module."""
    go = find_go()
    if go is None:
        skip("no Go (package golang-go), which fetches wasmvm")
    return go_module(go, MODULE, go_environment())["Dir"]


def sums():
    with open(os.path.join(HERE, "contracts.sha256"), encoding="ascii") as file:
        return {name: wanted for wanted, name in (line.split() for line in file)}


def is_right(path, wanted):
    if not os.path.exists(path):
        return False
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest() == wanted


def put(source, path):
    """Another test may read the file meanwhile: the old one, or the new one whole."""
    shutil.copyfile(source, path + ".part")
    os.replace(path + ".part", path)


def collect(into):
    """All contracts in one folder, as they should be."""
    folder = os.path.join(into, "contracts")
    os.makedirs(folder, exist_ok=True)
    missing = {name for name, wanted in sums().items()
               if not is_right(os.path.join(folder, name), wanted)}
    if missing:
        sources = [fetch_crate(into), os.path.join(fetch_module(), "testdata")]
        for name in missing:
            found = [path for path in (os.path.join(source, name) for source in sources)
                     if is_right(path, sums()[name])]
            if not found:
                raise SystemExit(f"{name} is not what contracts.sha256 says, or not there")
            put(found[0], os.path.join(folder, name))
    return folder


# --- vectors of signatures ------------------------------------------------------------------

K1, K1_RECOVER, R1, R1_RECOVER, ED25519, BATCH = 12, 13, 14, 15, 16, 17  # contract_imports.def
# Encodings of points of small order, canonical and not; signatures that hold only times the
# cofactor (message, key, signature): test_contract_crypto.c says more.
SMALL_ORDER = [
    "01" + 31 * "00", "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    31 * "00" + "80", "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "ec" + 30 * "ff" + "7f", "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    32 * "00", "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
    "01" + 30 * "00" + "80", "ec" + 31 * "ff", "ee" + 30 * "ff" + "7f", "ee" + 31 * "ff",
    "ed" + 30 * "ff" + "7f", "ed" + 31 * "ff"]
COFACTOR = [
    ("e5a369e1f023bf3db449eaf229b077c8c283b7346a74980f56411efb8e0e3899",
     "7db0dc9222f3c183457ddde4c708de8e5ea6bf3d5c4404cca14b32729a05c32a"
     "eaeb9dee8d40a73b6679441afbe94029b2a5573a07d247a041478458ed53a905"),
    ("6f6ca5462ae560235abfc4bf18f762edd72bc1a7de9e49eec0aeb5ecaa8d37ce",
     "8ea6b58beb2ecc0801fbd6c82c6dafee292cd29e8b6698bbb94c566b594d8ba9"
     "e05361d624bd1ff74a5bc25266c4aad254c696ccc00ae8c50d17939279f19a08"),
    ("085c961e0fdc40c24bb6150dd64f88373d7c48cb958b67f0a9bee10471f1c766",
     "595c67f33805792e947082f036bb90bd27209c928ee23606d62d17d0238662b2"
     "41173183e7c9106e9fc4ebdd7fa313992dd92fc56360e83fb8842554ab181104")]
ORDER_25519 = 2**252 + 27742317777372353535851937790883648493


def der_integers(text):
    """r and s of a signature in DER when they fit 32 bytes each, else None."""
    data = bytes.fromhex(text)
    numbers, at = [], 2
    while at + 2 <= len(data) and len(numbers) < 2:
        if data[at] != 2 or data[at + 1] > 33 or at + 2 + data[at + 1] > len(data):
            return None
        numbers.append(int.from_bytes(data[at + 2:at + 2 + data[at + 1]], "big"))
        at += 2 + data[at + 1]
    if len(numbers) < 2 or max(numbers) >= 2**256:
        return None
    return "".join(f"{number:064x}" for number in numbers)


def wycheproof(folder):
    for name, call in (("k1", K1), ("r1", R1)):
        for path in sorted(glob.glob(os.path.join(folder, f"wycheproof/ecdsa_secp256{name}_*"))):
            digest = re.search(r"_(sha\d+(?:_\d+)?)_test", path)[1]
            with open(path, encoding="utf-8") as file:
                groups = json.load(file)["testGroups"]
            for group in groups:
                for test in group["tests"]:
                    signature = der_integers(test["sig"])
                    if signature is None:
                        continue
                    made = hashlib.new(digest, bytes.fromhex(test["msg"])).hexdigest()[:64]
                    yield call, made, signature, group["publicKey"]["uncompressed"]


def ecdsa(folder):
    for name, call, recover in (("k1", K1, K1_RECOVER), ("r1", R1, R1_RECOVER)):
        with open(os.path.join(folder, f"secp256{name}_tests.json"), encoding="utf-8") as file:
            for test in json.load(file):
                made = hashlib.sha256(bytes.fromhex(test["message"])).hexdigest()
                key, signature = test["pubkey"], test["signature"]
                small = ("03" if int(key[-1], 16) % 2 else "02") + key[2:66]
                yield call, made, signature, key
                yield call, made, signature, small
                yield call, made, f"{int(signature, 16) ^ 1:0128x}", key
                yield call, made[2:], signature, key
                yield call, made, signature[2:], key
                yield call, made, signature, "06" + key[2:]
                yield call, made, 64 * "0" + signature[64:], key
                for param in range(6):
                    yield recover, made, signature, f"{param:02x}"


def ed25519(folder):
    with open(os.path.join(folder, "ed25519_tests.json"), encoding="utf-8") as file:
        tests = json.load(file)
    for test in tests:
        message, key, signature = test["message"], test["pubkey"], test["signature"]
        yield ED25519, message, signature, key
        yield ED25519, message + "00", signature, key
        scalar = int.from_bytes(bytes.fromhex(signature[64:]), "little") + ORDER_25519
        yield ED25519, message, signature[:64] + scalar.to_bytes(32, "little").hex(), key
        yield ED25519, message, signature[:-2], key
    for key in SMALL_ORDER:
        for nonce in SMALL_ORDER:
            yield ED25519, b"Zcash".hex(), nonce + 64 * "0", key
    for key, signature in COFACTOR:
        yield ED25519, b"cofactor".hex(), signature, key

    def pack(items):
        return "".join(item + f"{len(item) // 2:08x}" for item in items)

    names = ("message", "signature", "pubkey")
    for count in (0, 1, 2, 3):
        some = [pack(test[name] for test in tests[:count]) for name in names]
        yield BATCH, *some
        yield BATCH, some[0], some[1], pack([])
        yield BATCH, pack([tests[0]["message"]]), some[1], some[2]
        yield BATCH, some[0], some[1], pack([tests[0]["pubkey"]])
    first = [tests[0][name] for name in names]
    yield BATCH, pack(2 * first[:1]), pack(2 * first[1:2]), pack(first[2:])
    yield BATCH, pack(first[:1]), pack(2 * first[1:2]), pack(2 * first[2:])
    yield BATCH, pack(first[:1]), pack([first[1][2:]]), pack(first[2:])
    keys, signatures = (pack(pair) for pair in zip(*COFACTOR))
    yield BATCH, pack([b"cofactor".hex()]), signatures, keys


def write_vectors(crate, path):
    folder = os.path.join(os.path.dirname(os.path.dirname(crate)), "cosmwasm-crypto-*/testdata")
    folders = sorted(glob.glob(folder))
    if not folders:
        skip("cosmwasm-crypto has no testdata here")
    lines = []
    for vectors in (wycheproof, ecdsa, ed25519):
        lines += [" ".join(map(str, vector)) for vector in vectors(folders[-1])]
    with open(path, "w", encoding="ascii") as file:
        file.writelines(line + "\n" for line in lines)
    print(f"{len(lines)} vectors")


def run_peer(options, contracts):
    """Every call here and in libwasmvm."""
    library = os.path.join(fetch_module(), "internal/api/libwasmvm.x86_64.so")
    if not os.path.exists(library):
        skip("the Go module carries no libwasmvm for this machine")
    put(options.script, os.path.join(contracts, "script.wasm"))
    for path in glob.glob(os.path.join(os.path.dirname(options.script), "contract_*.wasm")):
        put(path, os.path.join(contracts, os.path.basename(path)))
    with tempfile.TemporaryDirectory() as folder:
        vectors = os.path.join(folder, "vectors")
        with alone(options.into):
            crate = fetch_crate(options.into)
        write_vectors(crate, vectors)
        return subprocess.run([options.peer, library, os.path.join(folder, "cache"), vectors],
                              env=dict(os.environ, WEIR_CONTRACTS=contracts),
                              check=False).returncode


# --- the command ------------------------------------------------------------------------------

class Command:
    def __init__(self, program, folder):
        self.program = program
        self.state = os.path.join(folder, "chain")
        self.addresses = {}

    def line(self, *words, options=("--costs", "mock")):
        return [self.program, "contract", "--state", self.state, *words, *options]

    def run(self, *words, exit_code=0, **rest):
        """The JSON that is printed; the error's text when it ends otherwise and prints none."""
        done = subprocess.run(self.line(*words), capture_output=True, text=True, check=False,
                              **rest)
        equal(done.returncode, exit_code, " ".join(words) + "\n" + done.stderr)
        return json.loads(done.stdout) if done.stdout else done.stderr

    def address(self, name):
        if name not in self.addresses:
            self.addresses[name] = self.run("address", name)["address"]
        return self.addresses[name]


def answer(result):
    """What is inside an ok that is base64 of JSON."""
    return json.loads(base64.b64decode(json.loads(result["result"])["ok"]))


def test_life(weir, contracts):
    """Store, instantiate, execute, query, migrate, sudo, each in a process of its own."""
    code = weir.run("store", os.path.join(contracts, "hackatom.wasm"))["checksum"]
    equal(code, sums()["hackatom.wasm"])
    message = json.dumps({"verifier": weir.address("verifies"),  # with upstream's spaces
                          "beneficiary": weir.address("benefits")})
    made = weir.run("instantiate", code, "--sender", "name:creator", "--funds", "1000earth",
                    "--label", "cosmos2contract", "--msg", message)
    equal(made["address"], weir.address("cosmos2contract"))
    equal(made["gas_used"], 18034576)
    equal(made["peak_pages"], 18)
    equal(made["debug"], ["here we go \U0001F680"])
    contract = made["address"]
    again = weir.run("instantiate", code, "--sender", "name:creator", "--label",
                     "cosmos2contract", "--msg", message, exit_code=10)
    assert "exists already" in again, again

    asked = weir.run("query", "name:cosmos2contract", "--msg", '{"verifier":{}}')
    equal(answer(asked), {"verifier": weir.address("verifies")})
    released = weir.run("execute", contract, "--sender", "name:verifies", "--funds", "15earth",
                        "--balance", "985earth", "--msg", '{"release":{"denom":"earth"}}')
    response = json.loads(released["result"])["ok"]
    equal(response["messages"][0]["msg"]["bank"]["send"],
          {"to_address": weir.address("benefits"),
           "amount": [{"denom": "earth", "amount": "985"}]})
    equal(response["data"], "8Auq")

    refused = weir.run("execute", contract, "--sender", "name:benefits", "--msg",
                       '{"release":{"denom":"earth"}}')
    equal((refused["result"], refused["changes"]), ('{"error":"Unauthorized"}', "none"))
    aborted = weir.run("execute", contract, "--sender", "name:creator", "--msg", '{"panic":{}}',
                       exit_code=14)
    assert "Aborted: panicked at src/contract.rs:187:5:" in aborted["failed"], aborted
    looped = weir.run("execute", contract, "--sender", "name:creator", "--msg",
                      '{"storage_loop":{}}', "--gas-limit", "2000000000", exit_code=4)
    equal(looped["failed"], "Ran out of gas during contract execution")
    equal(looped["gas_used"], 2000000000)
    equal(weir.run("ls")["contracts"][0]["keys"], 1)

    stolen = weir.run("sudo", contract, "--msg",
                      '{"steal_funds":{"recipient":"r","amount":[{"denom":"gold","amount":"7"}]}}')
    equal(json.loads(stolen["result"])["ok"]["messages"][0]["msg"]["bank"]["send"]["to_address"],
          "r")
    older = weir.run("store", os.path.join(contracts, "hackatom_1.3.wasm"))["checksum"]
    moved = weir.run("migrate", contract, older, "--sender", "name:creator", "--msg",
                     json.dumps({"verifier": weir.address("benefits")}))
    equal(moved["changes"], "kept")
    equal(weir.run("info", contract)["checksum"], older)
    asked = weir.run("query", contract, "--msg", '{"verifier":{}}')
    equal(answer(asked), {"verifier": weir.address("benefits")})


def test_gas_at_its_limit(weir, contracts):
    """Just enough is enough; one unit less is not, and the file holds what it held."""
    code = weir.run("store", os.path.join(contracts, "hackatom.wasm"))["checksum"]
    message = json.dumps({"verifier": weir.address("verifies"),
                          "beneficiary": weir.address("benefits")})

    def make(label, **rest):
        limit = str(rest.pop("gas"))
        return weir.run("instantiate", code, "--sender", "name:creator", "--label", label, "--msg",
                        message, "--gas-limit", limit, **rest)

    used = make("first", gas=10**12)["gas_used"]
    before = weir.run("ls")
    short = make("other", gas=used - 1, exit_code=4)
    equal((short["gas_used"], short["changes"]), (used - 1, "none"))
    equal(weir.run("ls"), before)
    equal(make("other", gas=used)["gas_used"], used)
    release = ("execute", "name:other", "--sender", "name:verifies", "--msg",
               '{"release":{"denom":"earth"}}', "--gas-limit")
    used = weir.run(*release, str(10**12))["gas_used"]
    equal(weir.run(*release, str(used))["gas_used"], used)
    short = weir.run(*release, str(used - 1), exit_code=4)
    equal((short["gas_used"], short["failed"]),
          (used - 1, "Ran out of gas during contract execution"))


def make_hackatom(weir, contracts, label, *words, **rest):
    code = weir.run("store", os.path.join(contracts, "hackatom.wasm"))["checksum"]
    message = json.dumps({"verifier": weir.address("verifies"),
                          "beneficiary": weir.address("benefits")})
    return weir.run("instantiate", code, "--sender", "name:creator", "--label", label, "--msg",
                    message, *words, **rest)


def test_words(weir, contracts):
    """What is written wrongly is refused before anything is called or changed."""
    make_hackatom(weir, contracts, "one")
    before = weir.run("ls")
    for words, text in (
            (("--funds", "1earth,"), "written as 1000earth"),
            (("--funds", "1earth,2earth"), "earth is there twice"),
            (("--funds", "1 earth"), "written as 1000earth"),
            (("--funds", "340282366920938463463374607431768211456earth"), "at most 2^128 - 1"),
            (("--balance", "earth"), "written as 1000earth"),
            (("--env", "[]"), "the environment is no JSON object"),
            (("--env", '{"block":5}'), "the environment's block is no JSON object"),
            (("--env", '{"blok":{}}'), "the environment has no blok; it has block and"),
            (("--env", '{"block":{"hight":1}}'), "has no block.hight; it has block.height"),
            (("--env", '{"block":{"height":-1}}'), "block.height: a number, not negative"),
            (("--env", '{"block":{"time":1}}'), "block.time: nanoseconds as a text"),
            (("--env", '{"block":{"time":"18446744073709551616"}}'), "nanoseconds as a text"),
            (("--gas-limit", "-1"), "--gas-limit -1: a number"),
            (("--prefix", ""), '"" is no prefix of addresses'),
            (("--msg", "@nowhere.json"), "cannot read nowhere.json")):
        exit_code = 9 if "@" in words[1] else 2
        said = make_hackatom(weir, contracts, "two", *words, exit_code=exit_code)
        assert text in said, (words, said)
    for label in ("", " two", "two\n", "x" * 129):
        said = make_hackatom(weir, contracts, label, exit_code=2)
        assert "a label has 1 to 128 bytes" in said, said
    for words, text in ((("query", "name:one", "--funds", "1earth"), "query takes no --funds"),
                        (("sudo", "name:one", "--label", "x"), "sudo takes no --label")):
        assert text in weir.run(*words, exit_code=2), text
    equal(weir.run("ls"), before)


def test_forms(weir, contracts):
    """The same message as a word, from a file, from standard input; coins in any order."""
    make_hackatom(weir, contracts, "one", "--funds", "0air,2token,1earth")
    asked = weir.run("query", "name:one", "--msg", '{"verifier":{}}')
    path = os.path.join(os.path.dirname(weir.state), "message.json")
    with open(path, "w", encoding="ascii") as file:
        file.write('{"verifier":{}}')
    equal(weir.run("query", "name:one", "--msg", "@" + path), asked)
    equal(weir.run("query", "name:one", "--msg-file", path), asked)
    equal(weir.run("query", "name:one", "--msg", "-", input='{"verifier":{}}'), asked)
    said = weir.run("query", "name:one", "--msg", "-", input=" " * 1048577, exit_code=22)
    assert "more than 1048576 bytes" in said, said

    cyberpunk = weir.run("store", os.path.join(contracts, "cyberpunk.wasm"))["checksum"]
    weir.run("instantiate", cyberpunk, "--sender", "name:creator", "--label", "mirror")

    def env(text):
        return answer(weir.run("query", "name:mirror", "--msg", '{"mirror_env":{}}', "--env", text))

    plain = env("{}")
    changed = env('{"block":{"height":7},"contract":{"address":"x"}}')
    equal(changed["block"], dict(plain["block"], height=7))
    equal(changed["contract"], {"address": weir.address("mirror")})
    equal(env('{"transaction":null}')["transaction"], None)
    equal(env('{"transaction":{"index":9}}')["transaction"]["index"], 9)


def test_output_is_whole(weir, contracts):
    """A full disk behind the answer is an error, not silence."""
    make_hackatom(weir, contracts, "one")
    with open("/dev/full", "w", encoding="ascii") as full:
        done = subprocess.run(weir.line("ls"), stdout=full, stderr=subprocess.PIPE, text=True,
                              check=False)
    equal(done.returncode, 11)
    assert "the answer cannot be written: No space left" in done.stderr, done.stderr


def test_states_that_are_none(weir, contracts):
    """Missing, damaged, of another program, of a newer weir, locked, no room: each said so."""
    database = os.path.join(weir.state, "state.db")
    said = weir.run("ls", exit_code=9)
    assert f"{database}: No such file" in said and "store FILE" in said, said
    equal(os.path.exists(weir.state), False)
    make_hackatom(weir, contracts, "one")
    before = weir.run("ls")
    ask = ("query", "name:one", "--msg", '{"verifier":{}}')
    asked = weir.run(*ask)

    lock = sqlite3.connect(database, isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    equal(weir.run(*ask), asked)
    said = weir.run("execute", "name:one", "--sender", "name:verifies", "--msg",
                    '{"release":{"denom":"earth"}}', exit_code=18)
    assert f"{database}: database is locked; another process writes it" in said, said
    lock.execute("ROLLBACK")
    lock.close()

    def no_room():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1024, 1024))

    said = weir.run("instantiate", sums()["hackatom.wasm"], "--sender", "name:creator", "--label",
                    "two", "--msg", json.dumps({"verifier": weir.address("verifies"),
                                                "beneficiary": weir.address("benefits")}),
                    exit_code=11, preexec_fn=no_room)
    assert database in said, said
    equal(weir.run("ls"), before)

    os.mkdir(database + "-wal")  # as little to be opened as in a folder that is read-only
    said = weir.run("ls", exit_code=11)
    assert database in said and "its folder must be writable" in said, said
    os.rmdir(database + "-wal")

    with open(database, "rb") as file:
        good = file.read()

    def spoilt(content, exit_code, text):
        with open(database, "wb") as file:
            file.write(content)
        for words in (("ls",), ask):
            said = weir.run(*words, exit_code=exit_code)
            assert database in said and text in said, said

    spoilt(b"x" * 100 + good[100:], 12, "restore the file from a copy")
    spoilt(good[:5000], 12, "restore the file from a copy")
    spoilt(good[:60] + bytes([0, 0, 0, 2]) + good[64:], 13, "its format is 2, this one's is 1")
    spoilt(good[:68] + bytes(4) + good[72:], 13, "a database of another program")
    with open(database, "wb") as file:
        file.write(good)
    equal(weir.run("ls"), before)


def test_killed(weir, contracts):
    """A command that is killed while it writes leaves what was there before it."""
    make_hackatom(weir, contracts, "one")
    before = weir.run("ls")
    database = os.path.join(weir.state, "state.db")
    with subprocess.Popen(weir.line("execute", "name:one", "--sender", "name:creator", "--msg",
                                    '{"storage_loop":{}}', "--gas-limit", str(10**17)),
                          stdout=subprocess.DEVNULL) as writer:
        while True:
            equal(writer.poll(), None, "it loops")
            lock = sqlite3.connect(database, isolation_level=None, timeout=0)
            try:
                lock.execute("BEGIN IMMEDIATE")
                lock.execute("ROLLBACK")
            except sqlite3.OperationalError:
                break  # it is inside of its transaction
            finally:
                lock.close()
        writer.kill()
    equal(weir.run("ls"), before)
    released = weir.run("execute", "name:one", "--sender", "name:verifies", "--msg",
                        '{"release":{"denom":"earth"}}')
    equal(released["changes"], "kept")


def test_looking(weir, contracts):
    code = weir.run("store", os.path.join(contracts, "ibc_reflect.wasm"))["checksum"]
    facts = weir.run("info", code)
    assert "ibc_channel_open" in facts["entry_points"], facts
    assert {"iterator", "stargate"} <= set(facts["capabilities"]), facts
    equal({line["checksum"] for line in weir.run("ls")["codes"]} >= {code}, True)


def test_contracts_ask_contracts(weir, contracts):
    """reflect hands a query on to hackatom: one contract's answer inside another's."""
    reflect = weir.run("store", os.path.join(contracts, "reflect.wasm"))["checksum"]
    hackatom = weir.run("store", os.path.join(contracts, "hackatom.wasm"))["checksum"]
    weir.run("instantiate", reflect, "--sender", "name:creator", "--label", "mirror")
    weir.run("instantiate", hackatom, "--sender", "name:creator", "--label", "asked", "--msg",
             json.dumps({"verifier": weir.address("verifies"),
                         "beneficiary": weir.address("benefits")}))

    def ask(kind, **request):
        inner = {"chain": {"request": {"wasm": {kind: request}}}}
        return weir.run("query", "name:mirror", "--msg", json.dumps(inner))

    asked = ask("smart", contract_addr=weir.address("asked"),
                msg=base64.b64encode(b'{"verifier":{}}').decode())
    inner = json.loads(base64.b64decode(answer(asked)["data"]))
    equal(inner, {"verifier": weir.address("verifies")})
    raw = ask("raw", contract_addr=weir.address("asked"), key=base64.b64encode(b"config").decode())
    equal(json.loads(base64.b64decode(answer(raw)["data"]))["funder"], weir.address("creator"))
    lost = ask("smart", contract_addr=weir.address("nobody"), msg="e30=")
    assert "No such contract" in lost["result"], lost


def test_queries_nest(weir, contracts):
    """hackatom asks itself: ten deep, and no deeper; each level pays for those below."""
    code = weir.run("store", os.path.join(contracts, "hackatom.wasm"))["checksum"]
    weir.run("instantiate", code, "--sender", "name:creator", "--label", "self", "--msg",
             json.dumps({"verifier": weir.address("v"), "beneficiary": weir.address("b")}))
    gas = []
    for depth in (0, 1, 10):
        asked = weir.run("query", "name:self", "--msg",
                         json.dumps({"recurse": {"depth": depth, "work": 1}}))
        equal(list(answer(asked)), ["hashed"])
        gas.append(asked["gas_used"])
    assert gas[0] < gas[1] < gas[2] / 5, gas
    deep = weir.run("query", "name:self", "--msg", '{"recurse":{"depth":11,"work":1}}')
    assert "more than 10 deep" in deep["result"], deep
    short = weir.run("query", "name:self", "--msg", '{"recurse":{"depth":10,"work":1}}',
                     "--gas-limit", str(gas[2] // 2), exit_code=4)
    equal(short["failed"], "Ran out of gas during contract execution")


def test_refused(weir, contracts):
    for name, text in (("hackatom_0.16.wasm", "has unknown interface_version_* marker export"),
                       ("corrupted.wasm", "Wasm bytecode could not be deserialized")):
        said = weir.run("store", os.path.join(contracts, name), exit_code=6)
        assert text in said, said
    nothing = os.path.join(os.path.dirname(weir.state), "nothing.wasm")
    with open(nothing, "wb") as file:
        file.write(b"\0asm\1\0\0\0")
    said = weir.run("store", nothing, exit_code=6).splitlines()
    assert len(said) > 2 and "exactly one memory" in said[0], said
    equal(len({line.removeprefix("weir contract:").strip() for line in said}), len(said), said)
    equal(weir.run("query", "name:nobody", exit_code=9).strip(),
          f"weir contract: no contract at {weir.address('nobody')}")
    said = weir.run("execute", "cosmwasm1xyz", "--sender", "name:creator", exit_code=2)
    assert "Error decoding bech32" in said, said


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--into", required=True)
    parser.add_argument("--real")
    parser.add_argument("--program")
    parser.add_argument("--peer")
    parser.add_argument("--script")
    options = parser.parse_args()
    with alone(options.into):
        contracts = collect(options.into)
    if options.real:
        environment = dict(os.environ, WEIR_CONTRACTS=contracts)
        return subprocess.run([options.real], env=environment, check=False).returncode
    if options.peer:
        return run_peer(options, contracts)
    for test in (test_life, test_gas_at_its_limit, test_words, test_forms, test_output_is_whole,
                 test_states_that_are_none, test_killed, test_looking, test_contracts_ask_contracts,
                 test_queries_nest, test_refused):
        with tempfile.TemporaryDirectory() as folder:
            test(Command(options.program, folder), contracts)
        print(test.__name__)
    return 0


if __name__ == "__main__":
    sys.exit(main())
