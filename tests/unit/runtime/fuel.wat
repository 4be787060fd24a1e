(module
  (func $leaf)
  (func (export "calls") (param i32)
    (loop (call $leaf) (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))))
  (func (export "locals") (local i64 i64 i64))
  (func (export "trap_aside") (param i32) (if (local.get 0) (then (drop (i32.const 1)) (unreachable))))
  (func (export "leave") (param i32)
    (block (if (local.get 0) (then (drop (i32.const 1)) (br 1)) (else (nop))))))
