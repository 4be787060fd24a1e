;; A guest that opens things of the host and forgets some.
(module
  (import "host" "open" (func $open (param i32) (result i32)))
  (import "host" "drop" (func $drop (param i32) (result i32)))
  (func $inner (export "open") (param i32) (result i32) local.get 0 call $open)
  (func (export "open_and_drop") (param i32) (result i32) local.get 0 call $inner call $drop)
  (func (export "drop") (param i32) (result i32) local.get 0 call $drop)
)
