;; What the fast generator must refuse by name.
(module
  (func (export "scalar") (result i32) (i32.const 1))
  (func (export "vector") (param i32) (result i32)
    (i32x4.extract_lane 0 (i32x4.splat (local.get 0)))))
