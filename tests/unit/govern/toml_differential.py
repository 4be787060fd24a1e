#!/usr/bin/env python3
"""Our TOML reader and Python's agree on which of some thousand mutated documents are TOML, and on
the number of their values and the sum of their whole numbers.

usage: toml_differential.py BUILD/tests/toml_lines [SEED [COUNT]]
"""
import random
import subprocess
import sys
import tomllib

SEEDS = [
    'a = 1\nb.c = "x"\n[d]\n"e f" = [1, 2.5, true]\n[d.g]\nh = {i = 1, j = "k"}\n',
    "[[p]]\nq = 1979-05-27T07:32:00Z\n[[p]]\nq = 07:32:00.5\n[p.r]\ns = 0x1F\n",
    'x = """\nab\\\n   c"""\ny = \'\'\'d\n\'\'\'\nz = "\\u00e9\\n"\n# c\nw = -1_000\n',
    "[wasm]\n# MiB\nmemory_cache_size = 100 # MiB\nquery_gas_limit = 3_000_000\n[api]\nb = false\n",
    "k = +1.5e-3\nl = inf\nm = -nan\nn = 0b101\no = 0o17\np = 1979-05-27 07:32:00\n",
    "[a.b.c]\nd = 1\n[a]\ne = 2\n[a.f]\n'g' = [[1, 2], [\"a\", 'b'],\n]\n",
    "a.b.c = 1\na.b.d = 2\n[e]\nf.g = 3\n[e.h]\ni = {j.k = 1, j.l = []}\n",
]
WORDS = ["=", ".", "[", "]", "[[", "]]", "{", "}", ",", "\n", "\r\n", "#", '"', "'", '"""', "'''",
         "\\", "1", "0", "_", "-", "+", "e", "a", "b", "a.b", "[a]", "[a.b]", "[[a]]", "true",
         "inf", "0x", "1979-05-27", "T07:32:00", "Z", "+01:30", ":", " ", "\t", "é", "\x7f",
         "\x00", "\\u", "a = 1\n", "a.b = 2\n", "[d]\n", "[[p]]\n", "[p]\n", "[d.g]\n", "= {",
         "99999999999999999999"]


def mutate(rng):
    text = rng.choice(SEEDS)
    for _ in range(rng.randrange(5)):
        at = rng.randrange(len(text) + 1)
        kind = rng.randrange(4)
        if kind == 0:
            text = text[:at] + rng.choice(WORDS) + text[at:]
        elif kind == 1:
            text = text[:at] + text[at + rng.randrange(1, 6):]
        elif kind == 2:
            other = rng.choice(SEEDS)
            start = rng.randrange(len(other))
            text = text[:at] + other[start:start + rng.randrange(1, 40)] + text[at:]
        else:
            lines = text.split("\n")
            rng.shuffle(lines)
            text = "\n".join(lines)
    return text


def count(value):
    """Values and the sum of whole numbers; a list is one value, and nothing in it counts."""
    if isinstance(value, dict):
        pairs = [count(v) for v in value.values()]
        return sum(p[0] for p in pairs), sum(p[1] for p in pairs)
    if isinstance(value, int) and not isinstance(value, bool):
        return 1, value
    return 1, 0


def expect(text):
    try:
        table = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, ValueError, RecursionError):
        return None
    return count(table)


def has_tables_in_lists(table):
    """tomllib does not tell [[a]] from a = [{}]: such documents are compared by validity only."""
    return any(isinstance(v, list) and any(isinstance(x, (dict, list)) for x in v) or
               isinstance(v, dict) and has_tables_in_lists(v) for v in table.values())


def main():
    rng = random.Random(int(sys.argv[2]) if len(sys.argv) > 2 else 1)
    texts = SEEDS + [mutate(rng) for _ in range(int(sys.argv[3]) if len(sys.argv) > 3 else 6000)]
    stdin = b"".join(b"%d\n%s" % (len(b), b) for b in (t.encode() for t in texts))
    done = subprocess.run([sys.argv[1]], input=stdin, capture_output=True, check=True)
    answers = done.stdout.decode("utf-8", "backslashreplace").split("\n")[:-1]
    assert len(answers) == len(texts), (len(answers), done.stderr)
    failed = valid = 0
    for text, answer in zip(texts, answers):
        wanted = expect(text)
        valid += wanted is not None
        good = answer.startswith("error") == (wanted is None)
        if good and wanted and not has_tables_in_lists(tomllib.loads(text)):
            good = answer == f"{wanted[0]} {wanted[1] % 2**64}"
        if not good and wanted and any(abs(n) >= 2**63 for n in whole_numbers(tomllib.loads(text))):
            good = True  # Python has no 64-bit limit
        if not good:
            failed += 1
            print(f"{text!r}\n  ours: {answer}\n  Python's: {wanted}")
    print(f"{len(texts)} documents, {valid} valid, {failed} differ")
    return 1 if failed or valid < len(texts) // 10 or valid > len(texts) * 9 // 10 else 0


def whole_numbers(value):
    if isinstance(value, dict):
        return [n for v in value.values() for n in whole_numbers(v)]
    if isinstance(value, list):
        return [n for v in value for n in whole_numbers(v)]
    return [value] if isinstance(value, int) and not isinstance(value, bool) else []


if __name__ == "__main__":
    sys.exit(main())
