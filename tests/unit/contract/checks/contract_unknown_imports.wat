(module (import "env" "foo" (func)) (import "env" "db_read" (func (param i32) (result i32)))
  (import "env" "bar" (func)) (import "wasi_snapshot_preview1" "fd_write" (func))
  (memory (export "memory") 1)
  (func (export "interface_version_8")) (func (export "allocate") (param i32) (result i32) (i32.const 0)) (func (export "deallocate") (param i32)))
