;; 64 pages of WebAssembly, the first four of them in the image: 1,024 of the system's.
(module
  (memory (export "memory") 64)
  (global $runs (mut i32) (i32.const 0))
  (data (i32.const 100) "first")
  (data (i32.const 262000) "last")
  ;; writes one word to each of n pages
  (func (export "touch") (param $n i32)
    (global.set $runs (i32.add (global.get $runs) (i32.const 1)))
    (loop $again
      (if (local.get $n)
        (then
          (local.set $n (i32.sub (local.get $n) (i32.const 1)))
          (i32.store (i32.shl (local.get $n) (i32.const 12)) (global.get $runs))
          (br $again))))))
