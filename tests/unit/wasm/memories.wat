;; More than one memory.
(module
  (import "env" "m" (memory $imported 1))
  (memory $second 1 2)
  (data (memory $second) (i32.const 0) "second")
  (data $passive "passive")
  (func (export "all") (param i32) (result i32)
    local.get 0 i32.load $second offset=4 drop
    local.get 0 i32.const 1 i32.store $imported
    local.get 0 i32.const 0 i32.const 4 memory.init $second $passive
    local.get 0 i32.const 0 i32.const 4 memory.copy $imported $second
    local.get 0 i32.const 0 i32.const 4 memory.fill $second
    i32.const 1 memory.grow $second drop
    memory.size $second))
