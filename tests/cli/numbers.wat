;; Functions for `weir run --invoke`: plain, two results, floats, and one that traps.
(module
  (memory (export "memory") 1 3)
  (global (export "answer") i32 (i32.const 42))
  (func (export "add") (param i32 i32) (result i32)
    (i32.add (local.get 0) (local.get 1)))
  (func (export "swap") (param i64 i64) (result i64 i64)
    (local.get 1) (local.get 0))
  (func (export "half") (param f64) (result f64)
    (f64.mul (local.get 0) (f64.const 0.5)))
  (func (export "divide") (param i32 i32) (result i32)
    (i32.div_s (local.get 0) (local.get 1))))
