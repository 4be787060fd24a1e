(module
  (import "host" "nothing" (func $nothing))
  (import "host" "add" (func $add (param i32 i32) (result i32)))
  (memory (export "memory") 1)
  (global $runs (mut i32) (i32.const 0))
  (data (i32.const 1024) "an image of one page")
  (func (export "empty"))
  (func (export "add") (param i32 i32) (result i32) local.get 0 local.get 1 i32.add)
  (func (export "sum") (param f64 f64 f64) (result f64)
    local.get 0 local.get 1 f64.add local.get 2 f64.add)
  ;; n calls of the host each
  (func (export "call_nothing") (param $n i32)
    (loop $again
      call $nothing
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))
  (func (export "call_add") (param $n i32) (result i32) (local $sum i32)
    (loop $again
      (local.set $sum (call $add (local.get $sum) (local.get $n)))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    local.get $sum)
  (func (export "loop_only") (param $n i32)
    (loop $again
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))
  ;; writes one word to each of n pages
  (func (export "touch") (param $n i32)
    (global.set $runs (i32.add (global.get $runs) (i32.const 1)))
    (loop $again
      (local.set $n (i32.sub (local.get $n) (i32.const 1)))
      (i32.store (i32.shl (local.get $n) (i32.const 12)) (global.get $runs))
      (br_if $again (local.get $n)))))
