(module
  (import "host" "say" (func $say (param i32)))
  (import "host" "id" (global $id i32))
  (func (export "run") (call $say (global.get $id))))
