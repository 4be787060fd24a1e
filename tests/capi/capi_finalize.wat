(module
  (func)
  (func (export "f")))
