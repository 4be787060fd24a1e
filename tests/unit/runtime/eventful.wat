;; Two pages to begin with, and a table.
(module
  (memory 2)
  (table (export "table") 4 funcref)
  (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0))))
