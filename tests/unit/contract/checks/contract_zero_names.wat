(module (import "env" "db_read\00x" (func (param i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "interface_version_8")) (func (export "interface_version_8\00")) (func (export "requires_iterator\00"))
  (func (export "allocate") (param i32) (result i32) (i32.const 0)) (func (export "deallocate") (param i32)))
