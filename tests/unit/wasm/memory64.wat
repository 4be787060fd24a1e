;; A memory with i64 indices.
(module
  (memory (export "memory") i64 1 16)
  (data (i64.const 8) "wide")
  (data $passive "wide")
  (func (export "all") (param i64) (result i64)
    local.get 0 i32.load offset=4294967295 drop
    local.get 0 i32.const 1 i32.store8
    local.get 0 i32.const 0 i32.const 4 memory.init $passive
    local.get 0 local.get 0 i64.const 3 memory.copy
    local.get 0 i32.const 0 i64.const 3 memory.fill
    i64.const 1 memory.grow drop
    memory.size))
