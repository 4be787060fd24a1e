;; The memory belongs to somebody else: nothing can be prepared.
(module
  (import "env" "memory" (memory 1))
  (import "env" "table" (table 1 funcref))
  (import "env" "at" (global $at i32))
  (func $f)
  (elem (global.get $at) $f)
  (data (i32.const 0) "zero")
  (data (global.get $at) "somewhere"))
