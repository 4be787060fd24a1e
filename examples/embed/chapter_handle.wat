;; Opens files, and does not always close them.
(module
  (import "host" "file_open" (func $open (param i32) (result i32)))
  (import "host" "file_close" (func $close (param i32)))
  (func (export "tidy")
    (call $close (call $open (i32.const 10))))
  (func (export "close_twice")
    (local $file i32)
    (local.set $file (call $open (i32.const 20)))
    (call $close (local.get $file))
    (call $close (local.get $file)))
  (func (export "hoard")
    (loop $again
      (drop (call $open (i32.const 30)))
      (br $again))))
