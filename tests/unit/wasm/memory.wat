;; Loads and stores of every width, bulk memory, all kinds of data segments.
(module
  (memory (export "memory") 1 4)
  (data (i32.const 0) "hello")
  (data $passive "passive")
  (func (export "all") (param i32) (result i32)
    local.get 0 i32.load8_s offset=1 local.get 0 i32.load16_u offset=65535 align=1 i32.add drop
    local.get 0 i64.load32_s local.get 0 i64.load i64.add drop
    local.get 0 f32.load drop local.get 0 f64.load offset=4294967295 drop
    local.get 0 i32.const 7 i32.store8 local.get 0 i64.const 7 i64.store32 align=2
    local.get 0 f32.const 1 f32.store local.get 0 f64.const 1 f64.store
    local.get 0 i32.const 0 i32.const 7 memory.init $passive
    data.drop $passive
    local.get 0 i32.const 0 i32.const 3 memory.copy
    local.get 0 i32.const 255 i32.const 3 memory.fill
    i32.const 1 memory.grow drop
    memory.size))
