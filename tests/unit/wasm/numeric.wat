;; Constants at their bounds and one instruction of every shape of number.
(module
  (global $g (mut i64) (i64.const -9223372036854775808))
  (func (export "all") (param i32 i64 f32 f64) (result i32)
    i32.const -2147483648 i32.const 2147483647 i32.add i32.clz drop
    i64.const 9223372036854775807 global.set $g
    global.get $g i64.const -1 i64.rem_s i64.eqz drop
    f32.const nan:0x200000 local.get 2 f32.copysign f32.sqrt f32.ceil f64.promote_f32 drop
    f64.const -inf local.get 3 f64.max f64.nearest f32.demote_f64 drop
    local.get 0 i32.extend8_s i64.extend_i32_u i64.extend32_s i32.wrap_i64 drop
    local.get 2 i32.trunc_sat_f32_u drop
    local.get 3 i64.trunc_sat_f64_s f64.reinterpret_i64 drop
    local.get 3 i32.trunc_f64_s f32.convert_i32_u i32.reinterpret_f32))
