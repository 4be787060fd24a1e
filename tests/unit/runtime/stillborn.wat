;; Leaves a function of its own in a table of the host's, and fails to start.
(module
  (import "host" "table" (table 1 funcref))
  (memory 1)
  (elem (i32.const 0) $left)
  (func $left)
  (func $start unreachable)
  (start $start)
)
