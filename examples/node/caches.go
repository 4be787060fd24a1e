// The node's other caches: fastcache (mmap), Stylus modules (C), and what lies on Go's heap.
package main

// #include "native.h"
import "C"

import (
	"container/list"
	"encoding/binary"
	"sync"

	"github.com/VictoriaMetrics/fastcache"
)

// An entry of 128 bytes, which is what the plan reckons with.
const (
	entryKeyBytes   = 32
	entryValueBytes = 92
	entryHeadBytes  = 4
)

func newFastcache(mb int) *fastcache.Cache {
	if mb == 0 {
		return nil
	}
	return fastcache.New(mb * mib)
}

func fillFastcache(cache *fastcache.Cache, mb int) {
	if cache == nil {
		return
	}
	var entryKey [entryKeyBytes]byte
	value := make([]byte, entryValueBytes)
	entry := entryKeyBytes + entryValueBytes + entryHeadBytes
	// Three times over: the index is at its largest when what was overwritten is still in it.
	count := (mb + 31) / 32 * 32 * mib / entry * 3
	for i := 0; i < count; i++ {
		binary.LittleEndian.PutUint64(entryKey[:], uint64(i))
		cache.Set(entryKey[:], value)
	}
}

// fastcacheBytes is what the chunks in use take.
func fastcacheBytes(cache *fastcache.Cache) int64 {
	if cache == nil {
		return 0
	}
	var stats fastcache.Stats
	cache.UpdateStats(&stats)
	return int64(stats.BytesSize)
}

// stylusCache is an LRU by the weight that Nitro gives a module: its serialized size and 128 bytes.
type stylusCache struct {
	mutex    sync.Mutex
	capacity int64
	weight   int64
	order    *list.List // of *stylusEntry, the one used last in front
	byKey    map[uint64]*list.Element
}

type stylusEntry struct {
	key    uint64
	weight int64
	module *C.struct_native_module
}

func newStylusCache(mb int) *stylusCache {
	return &stylusCache{capacity: int64(mb) * mib, order: list.New(),
		byKey: map[uint64]*list.Element{}}
}

// use brings a module into the cache; a module that is there becomes the one used last.
func (s *stylusCache) use(key uint64, size int64) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if element := s.byKey[key]; element != nil {
		s.order.MoveToFront(element)
		return
	}
	weight := size + 128
	if weight > s.capacity {
		return // does not fit: loaded again at every call
	}
	for s.weight+weight > s.capacity {
		last := s.order.Remove(s.order.Back()).(*stylusEntry)
		C.native_module_free(last.module)
		delete(s.byKey, last.key)
		s.weight -= last.weight
	}
	module := C.native_module_new(C.size_t(size))
	if module == nil {
		return
	}
	s.byKey[key] = s.order.PushFront(&stylusEntry{key, weight, module})
	s.weight += weight
}

const stylusModuleBytes = 384 << 10

func (s *stylusCache) fill() {
	for i := uint64(0); i < uint64(s.capacity/stylusModuleBytes)+2; i++ {
		s.use(i, stylusModuleBytes)
	}
}

func (s *stylusCache) bytes() int64 {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return s.weight
}

// goCache is a bounded map on Go's heap, counted by what its entries take there.
type goCache struct {
	mutex    sync.Mutex
	capacity int64
	entry    int // bytes of one
	bytes    int64
	items    map[[32]byte][]byte
	next     uint64
}

// What a map costs beside its values: key, slice, and its share of slots that are empty.
const goSlotBytes = 128

func newGoCache(capacity int64, entry int) *goCache {
	return &goCache{capacity: capacity, entry: entry, items: map[[32]byte][]byte{}}
}

// add puts in one more entry; false when the cache is full.
func (g *goCache) add() bool {
	g.mutex.Lock()
	defer g.mutex.Unlock()
	if g.bytes+int64(g.entry)+goSlotBytes > g.capacity {
		return false
	}
	var itemKey [32]byte
	g.next++
	binary.LittleEndian.PutUint64(itemKey[:], g.next)
	value := make([]byte, g.entry)
	for i := 0; i < len(value); i += 4096 {
		value[i] = 1
	}
	g.items[itemKey] = value
	g.bytes += int64(g.entry) + goSlotBytes
	return true
}

func (g *goCache) fill() {
	for g.add() {
	}
}

func (g *goCache) size() int64 {
	g.mutex.Lock()
	defer g.mutex.Unlock()
	return g.bytes
}
