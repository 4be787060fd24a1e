;; A start function that recurses without end.
(module
  (func $start (call $start))
  (start $start))
