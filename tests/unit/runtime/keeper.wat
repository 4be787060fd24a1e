;; Keeps function references that the host puts here.
(module
  (table (export "table") 4 funcref)
  (global (export "ref") (mut funcref) (ref.null func))
  (func (export "clear") (table.set 0 (i32.const 2) (ref.null func)) (global.set 0 (ref.null func)))
)
