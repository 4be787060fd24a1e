;; A WASI command: copies its input to its output, then the file "greeting" of its first folder, and
;; ends with the error that making a file there answers.
(module
  (import "wasi_snapshot_preview1" "fd_read"
    (func $read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write"
    (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_open"
    (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "greeting" "new")
  ;; One vector at 16: where, how much; its count at 24, a descriptor at 28, the bytes from 64.
  (func $must (param $errno i32)
    (if (local.get $errno) (then (call $exit (i32.add (i32.const 100) (local.get $errno))))))
  (func $copy (param $from i32)
    (loop $next
      (i32.store (i32.const 16) (i32.const 64))
      (i32.store (i32.const 20) (i32.const 1000))
      (call $must (call $read (local.get $from) (i32.const 16) (i32.const 1) (i32.const 24)))
      (i32.store (i32.const 20) (i32.load (i32.const 24)))
      (if (i32.load (i32.const 20))
        (then
          (call $must (call $write (i32.const 1) (i32.const 16) (i32.const 1) (i32.const 24)))
          (br $next)))))
  (func (export "_start")
    (call $copy (i32.const 0))
    (call $must (call $open (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 8) (i32.const 0)
                            (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 28)))
    (call $copy (i32.load (i32.const 28)))
    ;; Created (1) for writing (right 6).
    (call $exit (call $open (i32.const 3) (i32.const 0) (i32.const 8) (i32.const 3) (i32.const 1)
                            (i64.const 64) (i64.const 0) (i32.const 0) (i32.const 28)))))
