(import "symbolon:plugin/sql@VERSION" "query" (func $query (param i32 i32 i32 i32 i32 i32)))
(import "symbolon:plugin/sql@VERSION" "transaction" (func $transaction (param i32 i32 i32 i32 i32 i32)))
(import "symbolon:plugin/sql@VERSION" "execute" (func $execute (param i32 i32 i32 i32 i32 i32)))

;; A statement of every kind of fragment and value: nine of them, at 1504.
(func $statement
  (call $pair (i32.const 1512) (i32.const 192) (i32.const 5))
  (i32.store8 (i32.const 1528) (i32.const 1))
  (call $pair (i32.const 1536) (i32.const 192) (i32.const 5))
  (i32.store8 (i32.const 1552) (i32.const 2))
  (call $pair (i32.const 1560) (i32.const 192) (i32.const 5))
  (i32.store8 (i32.const 1576) (i32.const 3))
  (call $pair (i32.const 1584) (i32.const 192) (i32.const 5))
  (i32.store8 (i32.const 1600) (i32.const 4))
  (i32.store8 (i32.const 1624) (i32.const 4))
  (i32.store8 (i32.const 1632) (i32.const 1))
  (i32.store8 (i32.const 1640) (i32.const 1))
  (i32.store8 (i32.const 1648) (i32.const 4))
  (i32.store8 (i32.const 1656) (i32.const 2))
  (i64.store (i32.const 1664) (i64.const -1))
  (i32.store8 (i32.const 1672) (i32.const 4))
  (i32.store8 (i32.const 1680) (i32.const 3))
  (call $pair (i32.const 1688) (i32.const 192) (i32.const 5))
  (i32.store8 (i32.const 1696) (i32.const 4))
  (i32.store8 (i32.const 1704) (i32.const 4))
  (call $pair (i32.const 1712) (i32.const 192) (i32.const 5)))

;; Whether the answer at 3000 is the error `no_database`.
(func $no_database (result i32)
  (i32.and
    (i32.load8_u (i32.const 3000))
    (i64.eq (i64.load (i32.load (i32.const 3012))) (i64.const 0x62617461645f6f6e))))

;; Success where a statement was refused for want of a database.
(func $executed (result i32)
  (call $statement)
  (call $execute (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 1504) (i32.const 9) (i32.const 3000))
  (if (result i32) (call $no_database) (then (i32.const 4096)) (else (call $failure))))
