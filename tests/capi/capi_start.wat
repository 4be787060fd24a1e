;; Calls the host before anybody has the instance.
(module
  (import "host" "start" (func $start (param i32)))
  (func $main (call $start (i32.const 9)))
  (start $main)
  (func (export "f")))
