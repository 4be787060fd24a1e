(module
  (import "host" "rate" (global $rate f64))
  (import "host" "total" (global $total (mut i64)))
  (global $calls (export "calls") (mut i32) (i32.const 0))
  (func (export "add") (param $amount i32) (result i32)
    (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
    (global.set $total
      (i64.add (global.get $total)
        (i64.trunc_f64_s
          (f64.mul (global.get $rate) (f64.convert_i32_s (local.get $amount))))))
    (global.get $calls)))
