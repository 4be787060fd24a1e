;; A command that writes its arguments, asks for time and random bytes, and exits with 3.
(module
  (import "wasi_snapshot_preview1" "fd_write"
    (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_get" (func $args (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_open"
    (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_close" (func $close (param i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (data (i32.const 16) "\20\00\00\00\04\00\00\00")
  (data (i32.const 32) "abcd.")
  (func (export "_start")
    (if (call $args (i32.const 200) (i32.const 300)) (then (call $exit (i32.const 91))))
    (if (call $random (i32.const 400) (i32.const 64)) (then (call $exit (i32.const 92))))
    (if (call $write (i32.const 1) (i32.const 16) (i32.const 1) (i32.const 28))
      (then (call $exit (i32.const 93))))
    ;; the pre-opened directory itself
    (if (call $open (i32.const 3) (i32.const 0) (i32.const 36) (i32.const 1) (i32.const 0)
                    (i64.const 0) (i64.const 0) (i32.const 0) (i32.const 500))
      (then (call $exit (i32.const 94))))
    (if (call $close (i32.load (i32.const 500))) (then (call $exit (i32.const 95))))
    (call $exit (i32.const 3))))
