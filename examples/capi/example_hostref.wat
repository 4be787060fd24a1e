(module
  (global $kept (export "kept") (mut externref) (ref.null extern))
  (table $all (export "all") 4 externref)
  (func (export "keep") (param externref) (global.set $kept (local.get 0)))
  (func (export "swap") (param $i i32) (param $j i32)
    (local $x externref)
    (local.set $x (table.get $all (local.get $i)))
    (table.set $all (local.get $i) (table.get $all (local.get $j)))
    (table.set $all (local.get $j) (local.get $x))))
