#!/bin/sh
# A guest in 256 MiB of address space: without signals and guard pages it fits; who asks for more is
# told what to do.
# usage: small_space.sh WEIR HELLO.wasm
set -eu
ulimit -v 262144
words=$(mktemp)
trap 'rm -f "$words"' EXIT
"$1" run --no-cache --bounds no-signals --memory-max 32MiB "$2" | grep -q 'hello, world'
for options in '--bounds no-signals' '--bounds guard --memory-max 32MiB'; do
    code=0
    # shellcheck disable=SC2086 # several words
    "$1" run --no-cache $options "$2" >"$words" 2>&1 || code=$?
    test "$code" = 3
    grep -q 'of address space for a memory; ' "$words"
done
