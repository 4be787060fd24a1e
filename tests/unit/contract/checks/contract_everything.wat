(module (import "env" "foo" (func)) (memory 600 700) (table 1 funcref) (func (export "requires_water")))
