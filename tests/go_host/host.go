// A Go process whose guests trap while Go itself takes nil dereferences and faults, collects
// garbage, preempts its goroutines by signals and profiles itself.
//
//	host MODULE.wasm FORM [ROUNDS [crash|crash-in-c]]
//
// With a last word it crashes after all that, for who wants to see how.
package main

/*
#include <stdlib.h>
#include "guest.h"
int32_t goCallback(int32_t argument);
*/
import "C"

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"unsafe"
)

type record struct {
	filler [8]int
	value  int
}

var nils, faults, traps int64

// A panic of Go's own, and what it says.
func read(at *record) (message string) {
	defer func() {
		if r := recover(); r != nil {
			var failure runtime.Error
			if err, is := r.(error); is && errors.As(err, &failure) {
				message = failure.Error()
			}
		}
	}()
	return fmt.Sprint(at.value)
}

func takeNil() {
	if !strings.Contains(read(nil), "nil pointer dereference") {
		fail("a nil dereference: %q", read(nil))
	}
	atomic.AddInt64(&nils, 1)
}

// An address that Go knows nothing of.
func takeFault(at unsafe.Pointer) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	if message := read((*record)(at)); !strings.Contains(message, "invalid memory address") {
		fail("a fault: %q", message)
	}
	atomic.AddInt64(&faults, 1)
}

//export goCallback
func goCallback(argument C.int32_t) C.int32_t {
	takeNil()
	return argument + 1
}

func fail(format string, arguments ...any) {
	fmt.Fprintf(os.Stderr, "host: "+format+"\n", arguments...)
	os.Exit(1)
}

type names []*C.char

func (n names) call(guest *C.struct_guest, index int, argument C.int64_t) (int, int64) {
	var result C.int64_t
	code := C.guest_call(guest, n[index], argument, &result)
	return int(code), int64(result)
}

// One guest's life: every trap, between Go's own panics.
func work(rounds int, fixed names, noAccess, noFile unsafe.Pointer) {
	guest := C.guest_new()
	defer C.guest_free(guest)
	first := (*C.struct_guest_trap)(unsafe.Pointer(&C.guest_traps))
	list := unsafe.Slice(first, int(C.guest_trap_count))
	for round := 0; round < rounds; round++ {
		for _, trap := range list {
			var result C.int64_t
			code := C.guest_call(guest, trap.name, trap.argument, &result)
			if code != trap.code {
				fail("%s ended with %d, not %d", C.GoString(trap.name), code, trap.code)
			}
			atomic.AddInt64(&traps, 1)
			takeNil()
		}
		takeFault(noAccess)
		takeFault(noFile)
		if code, result := fixed.call(guest, 0, 41); code != 0 || result != 42 {
			fail("the host function answered %d, %d", code, result)
		}
		if code, result := fixed.call(guest, 1, 3000000); code != 0 || result != 3000000 {
			fail("counting ended with %d, %d", code, result)
		}
	}
}

// Garbage, so that the world is stopped while guests run.
func litter(stop chan struct{}) {
	for {
		select {
		case <-stop:
			return
		default:
			_ = make([]byte, 1<<16)
			runtime.GC()
			runtime.Gosched()
		}
	}
}

func main() {
	if len(os.Args) < 3 {
		fail("usage: host MODULE.wasm FORM [ROUNDS [crash|crash-in-c]]")
	}
	rounds := 20
	if len(os.Args) > 3 {
		rounds, _ = strconv.Atoi(os.Args[3])
	}
	before := C.guest_handler()
	why := C.guest_engine_open(C.CString(os.Args[1]), C.CString(os.Args[2]),
		(*C.guest_callback)(C.goCallback))
	if why != nil {
		fail("%s", C.GoString(why))
	}
	var profile bytes.Buffer
	if err := pprof.StartCPUProfile(&profile); err != nil {
		fail("%v", err)
	}
	fixed := names{C.CString("host"), C.CString("count")}
	noAccess, noFile := C.guest_no_access(), C.guest_no_file()
	stop := make(chan struct{})
	go litter(stop)
	var workers sync.WaitGroup
	for i := 0; i < 4; i++ {
		workers.Add(1)
		go func() {
			defer workers.Done()
			work(rounds, fixed, noAccess, noFile)
		}()
	}
	workers.Wait()
	close(stop)
	pprof.StopCPUProfile()
	is_ours := C.guest_handler() == before
	fmt.Printf("%s: %d traps, %d nil dereferences, %d faults; Go's handler is %v\n", os.Args[2],
		traps, nils, faults, map[bool]string{true: "alone", false: "behind"}[is_ours])
	if len(os.Args) > 4 && os.Args[4] == "crash" {
		var none *record
		fmt.Println(none.value)
	}
	if len(os.Args) > 4 && os.Args[4] == "crash-in-c" {
		C.guest_fault_in_c()
	}
	C.guest_engine_close()
}
