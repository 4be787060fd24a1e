;; Well-formed and not valid: made with --no-check.
(module
  (memory 1)
  (func (export "_start") (result i32)
    (i64.const 1)))
