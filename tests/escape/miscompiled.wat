;; What fuzz/differential found, as small as it gets. One export per find.
(module
  (func $clobber (param f64) (result f64) (local f64 f64 f64 f64 f64 f64)
    (local.set 1 (f64.add (local.get 0) (f64.const 1)))
    (local.set 2 (f64.add (local.get 1) (f64.const 1)))
    (local.set 3 (f64.add (local.get 2) (local.get 1)))
    (local.set 4 (f64.add (local.get 3) (local.get 2)))
    (local.set 5 (f64.mul (local.get 4) (local.get 3)))
    (f64.add (f64.add (f64.add (local.get 1) (local.get 2)) (f64.add (local.get 3) (local.get 4)))
             (f64.add (local.get 5) (local.get 0))))
  ;; A result computed into the register of a local that nobody reads was lost over a call.
  (func (export "dead_tee") (param f64) (result i64) (local f64)
    (i64.reinterpret_f64
      (local.tee 1 (f64.mul (f64.const -8.5) (local.get 0)))
      (drop (call $clobber (f64.const 3))))))
