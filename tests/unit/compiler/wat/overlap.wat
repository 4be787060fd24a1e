;; Later segments win, with their zeros too; page 1 stays untouched, page 3 only gets zeros.
(module
  (memory 1)
  (data (i32.const 100) "aaaaaaaa")
  (data (i32.const 102) "b\00b")
  (data (i32.const 12288) "\00\00\00\00")
  (data (i32.const 8190) "xyz"))
