(module
  (import "host" "fail" (func $fail (result i32)))
  (func (export "callback") (result i32) (call $fail))
  (func $inner (result i32) (unreachable) (i32.const 1))
  (func (export "unreachable") (result i32) (call $inner)))
