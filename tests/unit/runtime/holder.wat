;; Holds things of a plugin in every way a module can.
(module
  (import "plugin" "double" (func $double (param i32) (result i32)))
  (import "plugin" "memory" (memory 1))
  (import "plugin" "table" (table 1 funcref))
  (import "plugin" "number" (global $number (mut i32)))
  (func (export "run") (result i32)
    (i32.add (call $double (global.get $number)) (i32.load8_u (i32.const 64))))
)
