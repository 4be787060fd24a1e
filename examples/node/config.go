// A stand-in for an Arbitrum Nitro node: a process with the same five allocators (Go's heap, Pebble's
// calloc, fastcache's mmap, malloc's arenas, thread stacks), configured by the same JSON keys, so that
// a budget can be tried on it before a real node is at stake. It stores and serves nothing of use.
package main

import (
	"encoding/json"
	"fmt"
	"os"
)

const mib = 1 << 20

// Hard-coded in Nitro's fork of geth.
const (
	codeCacheBytes     = 256 * mib
	activatedWasmBytes = 64 * mib
	stylusBuiltInMB    = 256
	pebbleMinimumMB    = 16
)

type caching struct {
	DatabaseCache  int `json:"database-cache"`
	TrieDirtyCache int `json:"trie-dirty-cache"`
	TrieCleanCache int `json:"trie-clean-cache"`
	SnapshotCache  int `json:"snapshot-cache"`
	StylusCache    int `json:"stylus-lru-cache-capacity"`
}

// config is the part of a node's configuration that decides about memory; sizes are MB of 2^20.
type config struct {
	Persistent struct {
		Pebble struct {
			Experimental struct {
				MemTables int `json:"mem-table-stop-writes-threshold"`
			} `json:"experimental"`
		} `json:"pebble"`
	} `json:"persistent"`
	Execution struct {
		Caching caching `json:"caching"`
	} `json:"execution"`
}

func defaultConfig() *config {
	c := &config{}
	c.Execution.Caching = caching{2048, 1024, 600, 400, 256}
	c.Persistent.Pebble.Experimental.MemTables = 4
	return c
}

// readConfig reads a node's JSON file; keys that do not concern memory are passed over.
func readConfig(path string) (*config, error) {
	c := defaultConfig()
	if path == "" {
		return c, nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(text, c); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	k := &c.Execution.Caching
	for _, size := range []int{k.DatabaseCache, k.TrieDirtyCache, k.TrieCleanCache, k.SnapshotCache,
		k.StylusCache} {
		if size < 0 {
			return nil, fmt.Errorf("%s: a cache of %d MB: none may be negative", path, size)
		}
	}
	if c.Persistent.Pebble.Experimental.MemTables < 2 {
		return nil, fmt.Errorf("%s: Pebble needs at least 2 memtables", path)
	}
	if k.StylusCache == 0 {
		k.StylusCache = stylusBuiltInMB
	}
	return c, nil
}
