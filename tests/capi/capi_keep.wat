;; Hands one of its functions out before its start function traps.
(module
  (import "host" "keep" (func $keep (param funcref)))
  (memory 1)
  (func $answer (result i32) (i32.load (i32.const 8)))
  (elem declare func $answer)
  (data (i32.const 8) "\2a")
  (func $main (call $keep (ref.func $answer)) unreachable)
  (start $main))
