// A Go library that a C program loads when its guests have trapped already.
package main

import "C"

import "runtime"

type record struct {
	filler [8]int
	value  int
}

//export goTakeNil
func goTakeNil(argument int32) (answer int32) {
	defer func() {
		if _, is := recover().(runtime.Error); is {
			answer = argument + 1
		}
	}()
	var none *record
	runtime.GC()
	return int32(none.value)
}

func main() {}
