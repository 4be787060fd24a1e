;; Imports that no command has: of another world, of none, and one of the right name but not type.
(module
  (import "env" "proxy_log" (func (param i32 i32 i32) (result i32)))
  (import "env" "db_read" (func (param i32) (result i32)))
  (import "ic0" "msg_reply" (func))
  (import "wasi_snapshot_preview1" "fd_write" (func (param i64) (result i32)))
  (import "mine" "nothing" (global i32))
  (memory (export "memory") 1)
  (func (export "_start")))
