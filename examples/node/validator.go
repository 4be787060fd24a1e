// Background work: validations that hold native and Go memory, and that can be paused.
package main

// #include "native.h"
import "C"

import (
	"sync"
	"time"
)

type validator struct {
	mutex      sync.Mutex
	changed    *sync.Cond
	paused     bool
	running    int
	done       int64
	bytes      int // of one validation, half native, half Go
	pauses     int
	concurrent int
}

func newValidator() *validator {
	v := &validator{}
	v.changed = sync.NewCond(&v.mutex)
	return v
}

// start begins to validate: `concurrent` at a time, each with `bytes`.
func (v *validator) start(concurrent, bytes int, duration time.Duration) {
	v.concurrent, v.bytes = concurrent, bytes
	for i := 0; i < concurrent; i++ {
		go func() {
			for {
				v.begin()
				v.validate(duration)
				v.end()
			}
		}()
	}
}

func (v *validator) begin() {
	v.mutex.Lock()
	for v.paused {
		v.changed.Wait()
	}
	v.running++
	v.mutex.Unlock()
}

func (v *validator) end() {
	v.mutex.Lock()
	v.running--
	v.done++
	v.mutex.Unlock()
}

func (v *validator) validate(duration time.Duration) {
	native := C.native_hold(C.size_t(v.bytes / 2))
	held := holdGo(v.bytes / 2)
	time.Sleep(duration)
	held[0]++
	C.native_release(native)
}

// pause lets running validations end and begins no other.
func (v *validator) pause(paused bool) {
	v.mutex.Lock()
	if paused && !v.paused {
		v.pauses++
	}
	v.paused = paused
	v.mutex.Unlock()
	v.changed.Broadcast()
}

func (v *validator) stats() map[string]interface{} {
	v.mutex.Lock()
	defer v.mutex.Unlock()
	return map[string]interface{}{"paused": v.paused, "running": v.running, "done": v.done,
		"pauses": v.pauses, "concurrent": v.concurrent, "bytes_each": v.bytes}
}

// holdGo is memory on Go's heap, touched.
func holdGo(bytes int) []byte {
	held := make([]byte, bytes+1)
	for i := 0; i < len(held); i += 4096 {
		held[i] = 1
	}
	return held
}
