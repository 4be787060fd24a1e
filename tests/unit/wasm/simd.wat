;; Vectors: each kind of immediate and of signature.
(module
  (memory 1)
  (func (export "all") (param i32 v128) (result v128)
    (local v128 f32 f64 i64)
    local.get 0 v128.load offset=16 align=1 local.tee 2
    local.get 0 v128.load8x8_s i8x16.add
    local.get 0 v128.load64_zero
    i8x16.shuffle 0 1 2 3 4 5 6 7 24 25 26 27 28 29 30 31
    v128.const i32x4 1 2 3 4
    local.get 1
    v128.bitselect
    local.get 0 local.get 1 v128.load16_lane offset=2 7
    i8x16.swizzle
    local.get 0 i8x16.shl i16x8.neg i32x4.abs
    local.set 1
    local.get 0 local.get 1 v128.store32_lane 3
    local.get 0 local.get 1 v128.store
    local.get 1 i8x16.extract_lane_s 15 i32x4.splat
    local.get 3 f32x4.replace_lane 2
    local.get 4 f64x2.replace_lane 1
    local.get 5 i64x2.replace_lane 0
    local.get 1 f64x2.pmin i32x4.trunc_sat_f64x2_s_zero f32x4.convert_i32x4_u
    local.get 2 i16x8.q15mulr_sat_s i64x2.extend_low_i32x4_s
    local.get 2 i32x4.dot_i16x8_s
    local.get 1 i8x16.all_true drop
    local.get 1 v128.any_true drop
    v128.not))
