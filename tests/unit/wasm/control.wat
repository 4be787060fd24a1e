;; Every control instruction, block types of each form, unreachable code.
(module
  (type $pair (func (param i32 i32) (result i32 i32)))
  (func $swap (type $pair) local.get 1 local.get 0)
  (func $blocks (export "blocks") (param i32) (result i32)
    (local i64 f32 f64)
    block block block local.get 0 br_table 0 1 2 2 end end end
    i32.const 1 i32.const 2
    block (type $pair) call $swap end
    loop (param i32 i32) (result i32 i32) br 1 end
    i32.add drop
    local.get 0
    if (result i32) i32.const 3 else i32.const 4 end
    loop $again
      local.get 0 i32.eqz br_if $again
    end
    nop
    return)
  (func $dead (result f64)
    unreachable i32.add select drop f64.const 1.5)
  (func $picks (param i32 i64 i64) (result i64)
    local.get 1 local.get 2 local.get 0 select
    local.get 1 local.get 0 select (result i64)
    local.tee 1))
