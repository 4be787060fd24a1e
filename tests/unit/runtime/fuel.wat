(module
  (func $leaf)
  (func (export "calls") (param i32)
    (loop (call $leaf) (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))))
  (func (export "locals") (local i64 i64 i64)))
