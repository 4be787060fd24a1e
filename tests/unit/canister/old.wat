;; A module with everything wrong that can be.
(module
  (import "env" "memcpy" (func (param i32 i32 i32)))
  (import "ic0" "stable_read" (func (param i32 i32 i32)))
  (import "ic0" "msg_reply" (func (param i32)))
  (memory 1)
  (func (export "canister_inti"))
  (func (export "canister_query f") (param i32))
  (func (export "canister_update f"))
)
