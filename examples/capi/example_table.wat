(module
  (table (export "handlers") 2 6 funcref)
  (func $double (export "double") (param i32) (result i32)
    (i32.mul (local.get 0) (i32.const 2)))
  (func (export "dispatch") (param $handler i32) (param $x i32) (result i32)
    (call_indirect (param i32) (result i32) (local.get $x) (local.get $handler)))
  (elem (i32.const 1) $double))
