;; Things to be handed about wrongly.
(module
  (import "host" "say" (func $say (param i32) (result i32)))
  (memory (export "memory") 1)
  (table (export "table") 2 8 funcref)
  (global (export "held") (mut funcref) (ref.null func))
  (global (export "constant") i32 (i32.const 1))
  (func (export "one") (result i32) i32.const 1)
  (func (export "say") (param i32) (result i32) local.get 0 call $say)
  (func (export "trap") unreachable)
  (func (export "four") (param i32 i64 funcref externref) (result f64 externref i32 funcref)
    f64.const 2.5 local.get 3 local.get 0 local.get 2)
  (func (export "many") (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)
    (result i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)
    local.get 16 local.get 15 local.get 14 local.get 13 local.get 12 local.get 11 local.get 10
    local.get 9 local.get 8 local.get 7 local.get 6 local.get 5 local.get 4 local.get 3 local.get 2
    local.get 1 local.get 0)
)
