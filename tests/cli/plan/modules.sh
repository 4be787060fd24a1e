# A node's home with compiled modules of three versions, an app.toml and a trace, in this folder.
set -e
printf '[wasm]\nmemory_cache_size = 100\n' >app.toml
module() { # VERSION NUMBER BYTES DATE
    folder=home/wasm/wasm/cache/modules/$1/x86_64-unknown-linux-gnu-4721E3F4
    mkdir -p "$folder"
    file=$folder/$(printf %064x "$2")
    truncate -s "$3" "$file"
    touch -d "$4" "$file"
}
for i in 1 2 3; do module v6-wasmer1 $i 3000000 2023-07-01; done
for i in 1 2 3 4; do module v7-wasmer1 $i 20000000 2023-10-01; done
for i in 1 2 3 4 5 6; do module v8-wasmer5 $i 30000000 2024-01-01; done
: >home/wasm/wasm/cache/modules/v8-wasmer5/not-a-module
{
    echo "# time checksum"
    for round in 1 2 3; do
        for i in 1 2 3 4 5; do printf '12:0%d %064x\n' $round $i; done
    done
    for i in 1 2 1 2 1 2 1 2 9; do printf '%064x\n' $i; done
} >trace
