;; No plugin: no marker, no memory, imports that nobody offers or of another type.
(module
  (import "env" "no_such_thing" (func))
  (import "wasi_snapshot_preview1" "no_such_function" (func (result i32)))
  (import "other" "proxy_log" (func (param i32 i32 i32) (result i32)))
  (import "env" "proxy_log" (func (param i32) (result i32)))
  (import "wasi_unstable" "proc_exit" (func (param i32))))
