;; Stable memory's user, and a successor: start counts in a memory that it may find already used.
(module
  (memory (export "memory") 2 16)
  (data (i32.const 64) "of its own")
  (table (export "table") 2 2 funcref)
  (elem (i32.const 0) $seven)
  (global $starts (export "starts") (mut i32) (i32.const 100))
  (func $seven (result i32) i32.const 7)
  (func $start
    i32.const 32 i32.const 32 i32.load i32.const 1 i32.add i32.store
    global.get $starts i32.const 1 i32.add global.set $starts)
  (start $start)
  (func (export "load") (param i32) (result i32) local.get 0 i32.load)
  (func (export "store") (param i32 i32) local.get 0 local.get 1 i32.store)
  (func (export "grow") (param i32) (result i32) local.get 0 memory.grow)
  (func (export "size") (result i32) memory.size)
)
