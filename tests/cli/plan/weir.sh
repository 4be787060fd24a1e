# A configuration of `weir serve` as every machine plans it, in w.yaml; modules need not be modules.
#   weir.sh TOP-LINES ROUTE-KEYS
head -c 100000 /dev/zero >a.wasm
cat >w.yaml <<END
cache: none
server: { loops: 2, workers: 2, connections_max: 128, spool: /proc }
$1
routes:
  - path: /a
    module: a.wasm
    limits: { memory: 8MiB, concurrency: 12 }
    $2
END
