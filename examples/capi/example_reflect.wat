(module
  (func (export "a func") (param i32 f64 externref) (result i32) (unreachable))
  (global (export "a global") (mut f32) (f32.const 0))
  (table (export "a table") 0 50 funcref)
  (memory (export "a memory") 1))
