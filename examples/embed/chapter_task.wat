;; Asks its host something that takes time.
(module
  (import "host" "lookup" (func $lookup (param i32) (result i32)))
  (func (export "ask") (param i32) (result i32)
    (i32.add (call $lookup (local.get 0)) (i32.const 2))))
