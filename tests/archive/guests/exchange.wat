(data (i32.const 250) "bearer")

;; The field `token` is the first scope, the handle the value of the first attribute.
(func (export "symbolon:plugin/exchange@VERSION#exchange")
  (param i32 i32 i64 i32 i32 i32 i32 i32 i32 i64 i32 i32 i32 i32) (result i32)
  (call $pair (i32.const 1300) (i32.const 192) (i32.const 5))
  (call $pair (i32.const 1308) (i32.load (local.get 7)) (i32.load offset=4 (local.get 7)))
  (call $pair (i32.const 2056) (i32.const 1300) (i32.const 1))
  (call $pair (i32.const 2064) (i32.const 250) (i32.const 6))
  (i64.store (i32.const 2072) (i64.add (i64.const 1800000000) (local.get 9)))
  (call $pair (i32.const 2080) (i32.load offset=8 (local.get 10)) (i32.load offset=12 (local.get 10)))
  (call $metadata (i32.const 2088))
  (i32.const 2048))
