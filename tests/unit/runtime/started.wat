(module
  (import "host" "base" (global $base i32))
  (memory (export "memory") 2 8)
  (data (global.get $base) "at run time")
  (table $t (export "table") 3 8 funcref)
  (global $count (export "count") (mut i32) (i32.const 0))
  (elem $spare func $one)
  (type $get (func (result i32)))
  (func $one (result i32) i32.const 1)
  (func $start
    i32.const 40 i32.const 0x5eed i32.store
    i32.const 70000 i32.const 0xfeed i32.store
    i32.const 2 i32.const 0 i32.const 1 table.init $t $spare
    elem.drop $spare
    i32.const 1 memory.grow drop
    i32.const 131072 i32.const 7 i32.store
    i32.const 33 global.set $count)
  (start $start)
  (func (export "load") (param i32) (result i32) local.get 0 i32.load)
  (func (export "store") (param i32 i32) local.get 0 local.get 1 i32.store)
  (func (export "size") (result i32) memory.size)
  (func (export "grow") (param i32) (result i32) local.get 0 memory.grow)
  (func (export "call") (param i32) (result i32) local.get 0 call_indirect $t (type $get))
  (func (export "table_clear") (param i32) local.get 0 ref.null func table.set $t)
  (func (export "set_count") (param i32) local.get 0 global.set $count)
  (func (export "count_now") (result i32) global.get $count)
  (func (export "fill") (param i32 i32 i32) local.get 0 local.get 1 local.get 2 memory.fill)
)
