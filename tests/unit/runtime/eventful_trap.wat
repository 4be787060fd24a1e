;; Ends before it begins.
(module
  (func $start unreachable)
  (start $start))
