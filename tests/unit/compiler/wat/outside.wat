;; The second segment traps when the module is instantiated; the third is never applied.
(module
  (memory 1)
  (data (i32.const 8) "good")
  (data (i32.const 65533) "over the end")
  (data (i32.const 16) "never"))
