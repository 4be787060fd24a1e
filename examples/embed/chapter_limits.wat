;; Wants memory, and time.
(module
  (memory 1)
  (func (export "grow") (param i32 i32) (result i32)
    (memory.grow (local.get 0)))
  (func (export "spin")
    (loop $again (br $again))))
