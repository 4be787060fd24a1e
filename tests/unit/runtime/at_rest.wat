;; A small guest: a memory, a global, an import.
(module
  (import "host" "call" (func $call (param i32) (result i32)))
  (memory (export "memory") 1 4)
  (global $count (mut i32) (i32.const 0))
  (func (export "touch") (param i32) (result i32)
    (i32.store (i32.const 8) (local.get 0))
    (global.set $count (i32.add (global.get $count) (call $call (i32.const 0))))
    (global.get $count)))
