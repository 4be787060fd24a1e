#!/bin/sh
# Artifacts are ELF files that other people's tools read: no relocations, one symbol per function
# under its name, disassembly, no segment both writable and executable.
# usage: artifact_tools.sh WEIR-COMPILE MODULE.wasm
set -eu
for tool in readelf objdump; do
    if ! command -v "$tool" >/dev/null; then
        echo "skip: $tool is missing (package binutils)"
        test "${WEIR_REQUIRE_ALL:-0}" = 1 && exit 1
        exit 77
    fi
done
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$1" "$2" -o "$folder/first"
"$1" "$2" -o "$folder/second"
cmp "$folder/first" "$folder/second"
readelf -rW "$folder/first" | grep -q 'There are no relocations'
readelf -dW "$folder/first" | grep -q 'There is no dynamic section'
readelf -lW "$folder/first" | awk '/LOAD|STACK/ && /W/ && / E / { bad = 1 } END { exit bad }'
readelf -sW "$folder/first" | grep -q 'FUNC .* add$'
test "$(readelf -sW "$folder/first" | grep -c ' FUNC ')" = 5
objdump -d "$folder/first" >"$folder/listing"
grep -q '<hidden>:' "$folder/listing"
! grep -q '(bad)' "$folder/listing"
# Refusals: exit codes of the status table, the place, nothing left behind.
printf '\0asm\1\0\0\0\1\1' >"$folder/broken.wasm"
code=0
"$1" "$folder/broken.wasm" -o "$folder/third" 2>"$folder/words" || code=$?
test "$code" = 5
grep -q 'broken.wasm: byte [0-9]*: ' "$folder/words"
test ! -e "$folder/third" && test ! -e "$folder/third.new"
code=0
"$1" "$folder/absent.wasm" -o "$folder/third" 2>"$folder/words" || code=$?
test "$code" = 9
