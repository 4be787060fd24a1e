;; Tail calls and extended constants.
(module
  (import "env" "base" (global $base i32))
  (type $loop (func (param i32) (result i32)))
  (table 1 funcref)
  (memory 1)
  (global $sum i32 (i32.add (i32.mul (global.get $base) (i32.const 4)) (i32.const 1)))
  (global $wide i64 (i64.sub (i64.const 1) (i64.const 2)))
  (data (i32.sub (i32.const 9) (i32.const 8)) "x")
  (elem (i32.const 0) $even)
  (func $even (export "even") (param i32) (result i32)
    local.get 0 i32.eqz
    if i32.const 1 return end
    local.get 0 i32.const 1 i32.sub return_call $odd)
  (func $odd (param i32) (result i32)
    local.get 0 i32.eqz
    if i32.const 0 return end
    local.get 0 i32.const 1 i32.sub i32.const 0 return_call_indirect (type $loop)))
