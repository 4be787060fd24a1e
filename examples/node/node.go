// The node as a whole: what it holds, how each part is filled to its bound, what it says of itself.
package main

// #include "native.h"
import "C"

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/VictoriaMetrics/fastcache"
)

// Of malloc's 64 MB per arena; the rest is for the heads and what the node's own calls leave there.
const burstBytes = 60 * mib

// What a thread is reckoned with, and how much of it is not stack: thread-local storage, the guard.
const (
	threadBytes      = 2 * mib
	threadOtherBytes = 16 << 10
)

type node struct {
	config    *config
	databases map[string]*database
	trieClean *fastcache.Cache
	snapshot  *fastcache.Cache
	stylus    *stylusCache
	trieDirty *goCache
	codes     *goCache
	activated *goCache
	validator *validator
	threads   int // that the thread_stacks line may have
	filling   sync.Mutex
	native    C.uint // threads that wait
	served    int64
	active    int64
}

func newNode(c *config, folder string, threads int, hasClassic bool) (*node, error) {
	k := &c.Execution.Caching
	n := &node{config: c, databases: map[string]*database{}, threads: threads,
		trieClean: newFastcache(k.TrieCleanCache), snapshot: newFastcache(k.SnapshotCache),
		stylus: newStylusCache(k.StylusCache), validator: newValidator(),
		trieDirty: newGoCache(int64(k.TrieDirtyCache)*mib, 896),
		codes:     newGoCache(codeCacheBytes, 24576),
		activated: newGoCache(activatedWasmBytes, 65536)}
	sizes := map[string]int{"l2chaindata": k.DatabaseCache, "wasm": k.DatabaseCache,
		"arbitrumdata": pebbleMinimumMB}
	if hasClassic {
		sizes["classic-msg"] = pebbleMinimumMB
	}
	for name, mb := range sizes {
		d, err := openDatabase(folder, name, mb, c.Persistent.Pebble.Experimental.MemTables)
		if err != nil {
			return nil, fmt.Errorf("opening %s: %w", name, err)
		}
		n.databases[name] = d
	}
	return n, nil
}

// arenas is how many glibc may make.
func arenas() int {
	count, err := strconv.Atoi(os.Getenv("MALLOC_ARENA_MAX"))
	if err == nil && count > 0 {
		return count
	}
	return 8 * runtime.NumCPU()
}

// fill drives one line of the plan to its bound.
func (n *node) fill(line string) error {
	n.filling.Lock()
	defer n.filling.Unlock()
	k := &n.config.Execution.Caching
	switch line {
	case "pebble_block_cache":
		return n.databases["l2chaindata"].fillCache()
	case "pebble_memtables":
		return n.databases["l2chaindata"].fillMemTables()
	case "wasm_block_cache":
		return n.databases["wasm"].fillCache()
	case "wasm_memtables":
		return n.databases["wasm"].fillMemTables()
	case "arbitrumdata":
		return n.fillSmall("arbitrumdata")
	case "classic_msg":
		return n.fillSmall("classic-msg")
	case "trie_clean_cache":
		fillFastcache(n.trieClean, k.TrieCleanCache)
	case "snapshot_cache":
		fillFastcache(n.snapshot, k.SnapshotCache)
	case "stylus_cache":
		n.stylus.fill()
	case "malloc_arenas":
		// Threads beyond the number of arenas share them, main's included.
		C.native_bursts(C.uint(2*arenas()+8), burstBytes)
	case "thread_stacks":
		n.native = C.native_threads_start(C.uint(n.threads)-n.native,
			threadBytes-threadOtherBytes)
	case "trie_dirty_cache":
		n.trieDirty.fill()
	case "contract_code_cache":
		n.codes.fill()
	case "activated_wasm_cache":
		n.activated.fill()
	case "collect":
		debug.FreeOSMemory()
	default:
		return fmt.Errorf("no line %q", line)
	}
	return nil
}

func (n *node) fillSmall(name string) error {
	d := n.databases[name]
	if d == nil {
		return fmt.Errorf("this node has no %s", name)
	}
	if err := d.fillCache(); err != nil {
		return err
	}
	return d.fillMemTables()
}

// lines says what each line of the plan takes now, by the allocators' own figures.
func (n *node) lines() map[string]int64 {
	heap := C.native_heap()
	lines := map[string]int64{
		"trie_clean_cache":     fastcacheBytes(n.trieClean),
		"snapshot_cache":       fastcacheBytes(n.snapshot),
		"stylus_cache":         n.stylus.bytes(),
		"malloc_arenas":        int64(heap.free),
		"thread_stacks":        int64(n.native) * threadBytes,
		"trie_dirty_cache":     n.trieDirty.size(),
		"contract_code_cache":  n.codes.size(),
		"activated_wasm_cache": n.activated.size(),
	}
	for name, d := range n.databases {
		cache, memTables := d.note()
		lines[name+".cache"], lines[name+".memtables"] = cache, memTables
		lines[name+".cache_peak"], lines[name+".memtables_peak"] = d.cachePeak, d.memTablePeak
	}
	return lines
}

// stats is what GET /stats answers.
func (n *node) stats() map[string]interface{} {
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	heap := C.native_heap()
	limit := debug.SetMemoryLimit(-1)
	return map[string]interface{}{
		"pid":   os.Getpid(),
		"lines": n.lines(),
		"go": map[string]interface{}{"sys": memory.Sys, "heap_alloc": memory.HeapAlloc,
			"heap_inuse": memory.HeapInuse, "heap_released": memory.HeapReleased,
			"resident": memory.Sys - memory.HeapReleased, "collections": memory.NumGC,
			"gomemlimit": limit},
		"malloc": map[string]interface{}{"system": uint64(heap.system), "live": uint64(heap.live),
			"free": uint64(heap.free), "mapped": uint64(heap.mapped), "arenas_max": arenas()},
		"threads":   uint(n.native),
		"validator": n.validator.stats(),
		"requests": map[string]interface{}{"served": atomic.LoadInt64(&n.served),
			"active": atomic.LoadInt64(&n.active)},
	}
}
