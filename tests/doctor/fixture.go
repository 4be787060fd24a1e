// A Go program that knows what it holds: a heap of seeded objects, goroutines, and 64 MiB chunks
// mapped one by one as fastcache maps them. Prints its own statistics and waits for the end of
// stdin. Builds with Go 1.19.
//
// usage: fixture_go SEED HEAP_MIB CHUNKS
package main

import (
	"encoding/json"
	"math/rand"
	"os"
	"runtime"
	"strconv"
	"syscall"
)

var kept [][]byte

func number(index int) int {
	value, _ := strconv.Atoi(os.Args[index])
	return value
}

func main() {
	random := rand.New(rand.NewSource(int64(number(1))))
	for total := 0; total < number(2)<<20; {
		block := make([]byte, 64+random.Intn(8000))
		for i := 0; i < len(block); i += 512 {
			block[i] = 1
		}
		kept = append(kept, block)
		total += len(block)
	}
	chunks := 0
	for i := 0; i < number(3); i++ {
		chunk, err := syscall.Mmap(-1, 0, 64<<20, syscall.PROT_READ|syscall.PROT_WRITE,
			syscall.MAP_ANON|syscall.MAP_PRIVATE)
		if err != nil {
			os.Exit(1)
		}
		for at := 0; at < len(chunk); at += 4096 {
			chunk[at] = 1
		}
		chunks += len(chunk)
	}
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	classes := map[string]uint64{"go_heap": m.HeapSys - m.HeapReleased + m.StackSys}
	if chunks > 0 {
		classes["mmap_64m"] = uint64(chunks)
	}
	// The figures for the runtime's metadata count what is reserved, so they are bounds.
	metadata := m.GCSys + m.MSpanSys + m.MCacheSys + m.BuckHashSys + m.OtherSys
	_ = json.NewEncoder(os.Stdout).Encode(map[string]interface{}{"classes": classes,
		"at_most": map[string]uint64{"go_metadata": metadata}})
	_, _ = os.Stdin.Read(make([]byte, 1))
	runtime.KeepAlive(kept)
}
