;; A plugin: takes memory, opens things of the host and closes them (or forgets to), logs.
(module
  (import "host" "open" (func $open (param i32) (result i32)))
  (import "host" "close" (func $close (param i32)))
  (import "host" "log" (func $log (param i32 i32)))
  (memory (export "memory") 2 16)
  (data (i32.const 16) "a line that the host keeps as long as the plugin lives, no longer")
  (func (export "run") (param $turns i32) (param $closes i32) (result i32)
    (local $handle i32)
    (drop (memory.grow (i32.const 1)))
    (memory.fill (i32.const 65536) (local.get $turns) (i32.const 16384))
    (loop $again
      (local.set $handle (call $open (i32.const 512)))
      (call $log (i32.const 16) (i32.const 64))
      (if (local.get $closes) (then (call $close (local.get $handle))))
      (br_if $again (local.tee $turns (i32.sub (local.get $turns) (i32.const 1)))))
    (memory.size)))
