;; A plugin with some memory and a table.
(module
  (memory 2)
  (table 4 funcref)
  (elem (i32.const 0) $work)
  (func $work (export "work") (param i32 i32) (result i32)
    (i32.store (i32.const 70000) (i32.const 1))
    (i32.load (i32.const 70000))))
