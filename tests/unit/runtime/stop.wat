(module
  (import "host" "wait" (func $wait (param i32) (result i32)))
  (import "host" "wait_pair" (func $wait_pair (result f64 i64)))
  (import "host" "nest" (func $nest (result i32)))
  (import "host" "nest_long" (func $nest_long))
  (memory (export "memory") 1 1024)
  (global $turns (export "turns") (mut i32) (i32.const 0))
  (func (export "spin") (loop $again (global.set $turns (i32.add (global.get $turns) (i32.const 1))) (br $again)))
  ;; a loop whose values live in registers and on the stack across polls and calls
  (func (export "count") (param $n i64) (result i64) (local $sum i64) (local $f f64)
    (loop $again
      (local.set $sum (i64.add (local.get $sum) (local.get $n)))
      (local.set $f (f64.add (local.get $f) (f64.const 0.5)))
      (local.set $n (i64.sub (local.get $n) (i64.const 1)))
      (br_if $again (i64.ne (local.get $n) (i64.const 0))))
    (i64.add (local.get $sum) (i64.trunc_f64_s (local.get $f))))
  (func $calls_itself (export "recurse_until") (param $n i64) (result i64)
    (if (result i64) (i64.eqz (local.get $n))
      (then (i64.const 0))
      (else (i64.add (i64.const 1) (call $calls_itself (i64.sub (local.get $n) (i64.const 1)))))))
  (func (export "wait_twice") (param i32) (result i32)
    local.get 0 i32.const 100 i32.mul
    local.get 0 call $wait
    i32.add
    local.get 0 i32.const 1 i32.add call $wait
    i32.add)
  (func (export "wait_pair") (result i64 f64)
    (local $f f64) (local $i i64)
    call $wait_pair local.set $i local.set $f local.get $i local.get $f)
  (func (export "wait_nested") (result i32) call $nest)
  (func (export "nest_then_spin") call $nest_long (loop $again (br $again)))
  (func (export "fill") (param i32 i32 i32) local.get 0 local.get 1 local.get 2 memory.fill)
  (func (export "copy") (param i32 i32 i32) local.get 0 local.get 1 local.get 2 memory.copy)
  (func (export "grow") (param i32) (result i32) local.get 0 memory.grow)
  (func (export "load8") (param i32) (result i32) local.get 0 i32.load8_u)
)
