;; The second element segment may fail after the first has shown a function to others: they must
;; then find the memory empty, so there is no image.
(module
  (import "env" "table" (table 1 funcref))
  (table $own 1 funcref)
  (memory 1)
  (func $look (result i32) (i32.load (i32.const 0)))
  (elem (i32.const 0) $look)
  (elem (table $own) (i32.const 5) func $look)
  (data (i32.const 0) "seen"))
