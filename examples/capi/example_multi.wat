(module
  (import "host" "swap" (func $swap (param i32 i64 f32) (result f32 i64 i32)))
  (func (export "there and back") (param i32 i64 f32) (result i32 i64 f32)
    (local $i i32) (local $j i64) (local $z f32)
    (call $swap (local.get 0) (local.get 1) (local.get 2))
    (local.set $i) (local.set $j) (local.set $z)
    (local.get $i) (local.get $j) (local.get $z)))
