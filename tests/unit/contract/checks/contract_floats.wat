(module (memory (export "memory") 1) (global (mut i32) (i32.const 0))
  (func (param f64) (result i32) (drop (i32.extend8_s (i32.const 200))) (i32.trunc_sat_f64_s (f64.sqrt (local.get 0))))
  (func (export "interface_version_8")) (func (export "allocate") (param i32) (result i32) (i32.const 0)) (func (export "deallocate") (param i32)))
