;; Tables of both reference types, every kind of element segment, references.
(module
  (type $unary (func (param i32) (result i32)))
  (import "env" "f" (func $f (type $unary)))
  (import "env" "t" (table $imported 1 10 funcref))
  (table $t 4 funcref)
  (table $x 2 20 externref)
  (elem (i32.const 0) $f $g)
  (elem (table $t) (i32.const 1) func $g)
  (elem $passive func $f $g $g)
  (elem declare func $g)
  (elem (table $t) (i32.const 0) funcref (ref.func $f) (ref.null func))
  (elem $nulls externref (ref.null extern))
  (elem declare funcref (ref.func $f))
  (func $g (type $unary) local.get 0)
  (func (export "all") (param i32 externref) (result i32)
    local.get 0 local.get 0 call_indirect $t (type $unary) drop
    i32.const 0 i32.const 0 i32.const 2 table.init $t $passive
    elem.drop $passive
    i32.const 0 i32.const 0 i32.const 1 table.init $x $nulls
    i32.const 0 i32.const 1 i32.const 1 table.copy $t $imported
    i32.const 0 local.get 1 table.set $x
    i32.const 1 table.get $x ref.is_null drop
    ref.null extern i32.const 3 table.grow $x drop
    i32.const 0 ref.func $g i32.const 2 table.fill $t
    table.size $t))
