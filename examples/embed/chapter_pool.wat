;; Counts its calls in a global and in memory, which must agree.
(module
  (memory 1)
  (global $calls (mut i32) (i32.const 0))
  (func (export "count") (param i32 i32) (result i32)
    (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
    (i32.store (i32.const 8) (i32.add (i32.load (i32.const 8)) (i32.const 1)))
    (if (i32.ne (global.get $calls) (i32.load (i32.const 8))) (then unreachable))
    (global.get $calls)))
