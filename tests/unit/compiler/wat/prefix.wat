;; Certain, uncertain, certain: only what is in front of the uncertain one goes into the image.
(module
  (import "env" "at" (global $at i32))
  (memory 1)
  (data (i32.const 0) "first")
  (data "passive")
  (data (global.get $at) "second")
  (data (i32.const 2) "third"))
