;; Extended constants are computed when they can be.
(module
  (import "env" "base" (global $base i32))
  (memory 1)
  (global i32 (i32.sub (i32.mul (i32.const 7) (i32.const 6)) (i32.const 50)))
  (global i64 (i64.add (i64.const 0x7fffffffffffffff) (i64.const 2)))
  (global i32 (i32.add (global.get $base) (i32.mul (i32.const 3) (i32.const 4))))
  (data (i32.add (i32.const 8) (i32.const 8)) "sixteen"))
