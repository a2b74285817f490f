(component
  (type $ty-symbolon:plugin/types@0.1.0 (;0;)
    (instance
      (type (;0;) (enum "invalid-request" "invalid-config" "unauthenticated" "permission-denied" "not-found" "conflict" "rate-limited" "unavailable" "timeout" "unsupported" "internal" "other"))
      (export (;1;) "error-kind" (type (eq 0)))
      (type (;2;) (tuple string string))
      (type (;3;) (list 2))
      (export (;4;) "metadata" (type (eq 3)))
      (type (;5;) (option u64))
      (type (;6;) (option u16))
      (type (;7;) (record (field "kind" 1) (field "code" string) (field "message" string) (field "retry-after-ms" 5) (field "request-sent" bool) (field "upstream-status" 6) (field "metadata" 4)))
      (export (;8;) "error" (type (eq 7)))
      (type (;9;) (record (field "request-id" string) (field "deadline-in-ms" u64) (field "metadata" 4)))
      (export (;10;) "context" (type (eq 9)))
      (type (;11;) u64)
      (export (;12;) "seconds" (type (eq 11)))
      (type (;13;) u64)
      (export (;14;) "timestamp" (type (eq 13)))
    )
  )
  (import "symbolon:plugin/types@0.1.0" (instance $symbolon:plugin/types@0.1.0 (;0;) (type $ty-symbolon:plugin/types@0.1.0)))
  (alias export $symbolon:plugin/types@0.1.0 "error" (type $error (;1;)))
  (type $ty-symbolon:plugin/sql@0.1.0 (;2;)
    (instance
      (type (;0;) (list u8))
      (type (;1;) (variant (case "null") (case "boolean" bool) (case "integer" s64) (case "text" string) (case "bytes" 0)))
      (export (;2;) "value" (type (eq 1)))
      (type (;3;) (variant (case "raw" string) (case "identifier" string) (case "literal" string) (case "material" string) (case "parameter" 2)))
      (export (;4;) "fragment" (type (eq 3)))
      (type (;5;) (list 4))
      (export (;6;) "statement" (type (eq 5)))
      (type (;7;) (list string))
      (type (;8;) (list 2))
      (type (;9;) (list 8))
      (type (;10;) (record (field "columns" 7) (field "rows" 9)))
      (export (;11;) "rows" (type (eq 10)))
      (alias outer 1 $error (type (;12;)))
      (export (;13;) "error" (type (eq 12)))
      (type (;14;) (option string))
      (type (;15;) (result 11 (error 13)))
      (type (;16;) (func (param "database" 14) (param "statement" 6) (result 15)))
      (export (;0;) "query" (func (type 16)))
      (type (;17;) (list 6))
      (type (;18;) (list u64))
      (type (;19;) (result 18 (error 13)))
      (type (;20;) (func (param "database" 14) (param "statements" 17) (result 19)))
      (export (;1;) "transaction" (func (type 20)))
      (type (;21;) (result u64 (error 13)))
      (type (;22;) (func (param "database" 14) (param "statement" 6) (result 21)))
      (export (;2;) "execute" (func (type 22)))
    )
  )
  (import "symbolon:plugin/sql@0.1.0" (instance $symbolon:plugin/sql@0.1.0 (;1;) (type $ty-symbolon:plugin/sql@0.1.0)))
  (type $ty-symbolon:plugin/log@0.1.0 (;3;)
    (instance
      (type (;0;) (enum "debug" "info" "warn" "error"))
      (export (;1;) "level" (type (eq 0)))
      (type (;2;) (tuple string string))
      (type (;3;) (list 2))
      (type (;4;) (func (param "level" 1) (param "message" string) (param "fields" 3)))
      (export (;0;) "log" (func (type 4)))
    )
  )
  (import "symbolon:plugin/log@0.1.0" (instance $symbolon:plugin/log@0.1.0 (;2;) (type $ty-symbolon:plugin/log@0.1.0)))
  (type $ty-symbolon:plugin/config@0.1.0 (;4;)
    (instance
      (type (;0;) (func (result string)))
      (export (;0;) "get" (func (type 0)))
      (type (;1;) (tuple string string))
      (type (;2;) (list 1))
      (type (;3;) (func (result 2)))
      (export (;1;) "roles" (func (type 3)))
    )
  )
  (import "symbolon:plugin/config@0.1.0" (instance $symbolon:plugin/config@0.1.0 (;3;) (type $ty-symbolon:plugin/config@0.1.0)))
  (core module $main (;0;)
    (type (;0;) (func (param i32 i32 i32 i32 i32)))
    (type (;1;) (func (param i32)))
    (type (;2;) (func (param i32 i32 i32 i32 i32 i32)))
    (type (;3;) (func))
    (type (;4;) (func (result i32)))
    (type (;5;) (func (param i32) (result i32)))
    (type (;6;) (func (param i32 i32 i64 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i64) (result i32)))
    (type (;7;) (func (param i32 i32 i64 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
    (type (;8;) (func (param i32 i32 i64 i32 i32 i32 i32 i32) (result i32)))
    (type (;9;) (func (param i32 i32 i32 i32) (result i32)))
    (type (;10;) (func (param i32 i32 i32)))
    (type (;11;) (func (param i32 i32 i64 i32 i32) (result i32)))
    (import "symbolon:plugin/log@0.1.0" "log" (func $log (;0;) (type 0)))
    (import "symbolon:plugin/config@0.1.0" "get" (func $get (;1;) (type 1)))
    (import "symbolon:plugin/config@0.1.0" "roles" (func $roles (;2;) (type 1)))
    (import "symbolon:plugin/sql@0.1.0" "query" (func $query (;3;) (type 2)))
    (import "symbolon:plugin/sql@0.1.0" "transaction" (func $transaction (;4;) (type 2)))
    (import "symbolon:plugin/sql@0.1.0" "execute" (func $execute (;5;) (type 2)))
    (memory (;0;) 1)
    (global $heap (;0;) (mut i32) i32.const 32768)
    (export "symbolon:plugin/credentials@0.1.0#issue" (func 9))
    (export "symbolon:plugin/credentials@0.1.0#renew" (func 10))
    (export "symbolon:plugin/credentials@0.1.0#revoke" (func 11))
    (export "symbolon:plugin/credentials@0.1.0#verify" (func 12))
    (export "symbolon:plugin/credentials@0.1.0#list-issued" (func 13))
    (export "memory" (memory 0))
    (export "cabi_realloc" (func 14))
    (export "symbolon:plugin/describe@0.1.0#describe" (func 18))
    (export "symbolon:plugin/check@0.1.0#validate" (func 19))
    (export "symbolon:plugin/check@0.1.0#probe" (func 20))
    (func $statement (;6;) (type 3)
      i32.const 1512
      i32.const 192
      i32.const 5
      call $pair
      i32.const 1528
      i32.const 1
      i32.store8
      i32.const 1536
      i32.const 192
      i32.const 5
      call $pair
      i32.const 1552
      i32.const 2
      i32.store8
      i32.const 1560
      i32.const 192
      i32.const 5
      call $pair
      i32.const 1576
      i32.const 3
      i32.store8
      i32.const 1584
      i32.const 192
      i32.const 5
      call $pair
      i32.const 1600
      i32.const 4
      i32.store8
      i32.const 1624
      i32.const 4
      i32.store8
      i32.const 1632
      i32.const 1
      i32.store8
      i32.const 1640
      i32.const 1
      i32.store8
      i32.const 1648
      i32.const 4
      i32.store8
      i32.const 1656
      i32.const 2
      i32.store8
      i32.const 1664
      i64.const -1
      i64.store
      i32.const 1672
      i32.const 4
      i32.store8
      i32.const 1680
      i32.const 3
      i32.store8
      i32.const 1688
      i32.const 192
      i32.const 5
      call $pair
      i32.const 1696
      i32.const 4
      i32.store8
      i32.const 1704
      i32.const 4
      i32.store8
      i32.const 1712
      i32.const 192
      i32.const 5
      call $pair
    )
    (func $no_database (;7;) (type 4) (result i32)
      i32.const 3000
      i32.load8_u
      i32.const 3012
      i32.load
      i64.load
      i64.const 7089075250102497134
      i64.eq
      i32.and
    )
    (func $executed (;8;) (type 4) (result i32)
      call $statement
      i32.const 0
      i32.const 0
      i32.const 0
      i32.const 1504
      i32.const 9
      i32.const 3000
      call $execute
      call $no_database
      if (result i32) ;; label = @1
        i32.const 4096
      else
        call $failure
      end
    )
    (func (;9;) (type 5) (param $asked i32) (result i32)
      i32.const 2056
      local.get $asked
      i32.load offset=24
      local.get $asked
      i32.load offset=28
      call $pair
      i32.const 1300
      i32.const 192
      i32.const 5
      call $pair
      i32.const 1308
      local.get $asked
      i32.load offset=64
      local.get $asked
      i32.load offset=68
      call $pair
      i32.const 2064
      i32.const 1300
      i32.const 1
      call $pair
      i32.const 2072
      i64.const 1800000000
      local.get $asked
      i64.load offset=48
      i64.add
      i64.store
      i32.const 2080
      i32.const 1
      i32.store8
      i32.const 2081
      i32.const 1
      i32.store8
      i32.const 2084
      local.get $asked
      i32.load offset=24
      local.get $asked
      i32.load offset=28
      call $pair
      i32.const 2092
      call $metadata
      i32.const 2048
    )
    (func (;10;) (type 6) (param i32 i32 i64 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i64) (result i32)
      i32.const 2056
      i64.const 1800000000
      local.get 13
      i64.add
      i64.store
      i32.const 2048
    )
    (func (;11;) (type 7) (param i32 i32 i64 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)
      call $executed
    )
    (func (;12;) (type 7) (param i32 i32 i64 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)
      call $statement
      i32.const 0
      i32.const 0
      i32.const 0
      i32.const 1504
      i32.const 9
      i32.const 3000
      call $query
      call $no_database
      i32.eqz
      if ;; label = @1
        call $failure
        return
      end
      i32.const 2056
      i32.const 1
      i32.store8
      i32.const 2048
    )
    (func (;13;) (type 8) (param i32 i32 i64 i32 i32 i32 i32 i32) (result i32)
      call $statement
      i32.const 1400
      i32.const 1504
      i32.const 9
      call $pair
      i32.const 0
      i32.const 0
      i32.const 0
      i32.const 1400
      i32.const 1
      i32.const 3000
      call $transaction
      call $no_database
      i32.eqz
      if ;; label = @1
        call $failure
        return
      end
      i32.const 1300
      i32.const 260
      i32.const 26
      call $pair
      i32.const 2056
      i32.const 1300
      i32.const 1
      call $pair
      i32.const 2064
      local.get 5
      i32.store8
      i32.const 2068
      local.get 6
      local.get 7
      call $pair
      i32.const 2048
    )
    (func (;14;) (type 9) (param i32 i32 i32 i32) (result i32)
      global.get $heap
      i32.const 7
      i32.add
      i32.const -8
      i32.and
      global.set $heap
      global.get $heap
      global.get $heap
      local.get 3
      i32.add
      global.set $heap
    )
    (func $pair (;15;) (type 10) (param $at i32) (param $of i32) (param $length i32)
      local.get $at
      local.get $of
      i32.store
      local.get $at
      local.get $length
      i32.store offset=4
    )
    (func $metadata (;16;) (type 1) (param $at i32)
      i32.const 976
      i32.const 178
      i32.const 4
      call $pair
      i32.const 984
      i32.const 183
      i32.const 7
      call $pair
      local.get $at
      i32.const 976
      i32.const 1
      call $pair
    )
    (func $failure (;17;) (type 4) (result i32)
      i32.const 2048
      i32.const 1
      i32.store8
      i32.const 2056
      i32.const 5
      i32.store8
      i32.const 2060
      i32.const 212
      i32.const 5
      call $pair
      i32.const 2068
      i32.const 222
      i32.const 20
      call $pair
      i32.const 2080
      i32.const 1
      i32.store8
      i32.const 2088
      i64.const 1500
      i64.store
      i32.const 2096
      i32.const 1
      i32.store8
      i32.const 2098
      i32.const 1
      i32.store8
      i32.const 2100
      i32.const 409
      i32.store16
      i32.const 2104
      call $metadata
      i32.const 2048
    )
    (func (;18;) (type 4) (result i32)
      i32.const 900
      i32.const 144
      i32.const 5
      call $pair
      i32.const 908
      i32.const 150
      i32.const 19
      call $pair
      i32.const 916
      i32.const 1
      i32.store8
      i32.const 918
      i32.const 8443
      i32.store16
      i32.const 960
      i32.const 170
      i32.const 3
      call $pair
      i32.const 920
      i32.const 960
      i32.const 1
      call $pair
      i32.const 928
      i32.const 174
      i32.const 3
      call $pair
      i32.const 2048
      i32.const 100
      i32.const 8
      call $pair
      i32.const 2056
      i32.const 110
      i32.const 5
      call $pair
      i32.const 2064
      i32.const 116
      i32.const 22
      call $pair
      i32.const 2072
      i32.const 140
      i32.const 2
      call $pair
      i32.const 2080
      i32.const 900
      i32.const 1
      call $pair
      i32.const 2088
      i32.const 1
      i32.store8
      i32.const 2092
      call $metadata
      i32.const 2048
    )
    (func (;19;) (type 4) (result i32)
      i32.const 1200
      call $metadata
      i32.const 1
      i32.const 116
      i32.const 22
      i32.const 976
      i32.const 1
      call $log
      i32.const 1200
      call $get
      i32.const 1216
      call $roles
      i32.const 1208
      i32.const 1216
      i32.load
      i32.load
      i32.const 1216
      i32.load
      i32.load offset=4
      call $pair
      i32.const 2056
      i32.const 1200
      i32.const 2
      call $pair
      i32.const 2064
      call $metadata
      i32.const 2048
    )
    (func (;20;) (type 11) (param i32 i32 i64 i32 i32) (result i32)
      i32.const 1200
      local.get 0
      local.get 1
      call $pair
      i32.const 2056
      i32.const 1200
      i32.const 1
      call $pair
      i32.const 2064
      call $metadata
      i32.const 2048
    )
    (data (;0;) (i32.const 260) "01JZZZZZZZ0123456789ABCDEF")
    (data (;1;) (i32.const 100) "archived")
    (data (;2;) (i32.const 110) "1.2.3")
    (data (;3;) (i32.const 116) "a guest of the archive")
    (data (;4;) (i32.const 140) "{}")
    (data (;5;) (i32.const 144) "https")
    (data (;6;) (i32.const 150) "archive.example.com")
    (data (;7;) (i32.const 170) "GET")
    (data (;8;) (i32.const 174) "/v1")
    (data (;9;) (i32.const 178) "made")
    (data (;10;) (i32.const 183) "by hand")
    (data (;11;) (i32.const 192) "token")
    (data (;12;) (i32.const 200) "text/plain")
    (data (;13;) (i32.const 212) "taken")
    (data (;14;) (i32.const 222) "somebody else has it")
    (@producers
      (processed-by "wit-component" "0.263.0")
    )
  )
  (core module $wit-component-shim-module (;1;)
    (type (;0;) (func (param i32 i32 i32 i32 i32)))
    (type (;1;) (func (param i32)))
    (type (;2;) (func (param i32 i32 i32 i32 i32 i32)))
    (table (;0;) 6 6 funcref)
    (export "0" (func 0))
    (export "1" (func 1))
    (export "2" (func 2))
    (export "3" (func 3))
    (export "4" (func 4))
    (export "5" (func 5))
    (export "$imports" (table 0))
    (func (;0;) (type 0) (param i32 i32 i32 i32 i32)
      local.get 0
      local.get 1
      local.get 2
      local.get 3
      local.get 4
      i32.const 0
      call_indirect (type 0)
    )
    (func (;1;) (type 1) (param i32)
      local.get 0
      i32.const 1
      call_indirect (type 1)
    )
    (func (;2;) (type 1) (param i32)
      local.get 0
      i32.const 2
      call_indirect (type 1)
    )
    (func (;3;) (type 2) (param i32 i32 i32 i32 i32 i32)
      local.get 0
      local.get 1
      local.get 2
      local.get 3
      local.get 4
      local.get 5
      i32.const 3
      call_indirect (type 2)
    )
    (func (;4;) (type 2) (param i32 i32 i32 i32 i32 i32)
      local.get 0
      local.get 1
      local.get 2
      local.get 3
      local.get 4
      local.get 5
      i32.const 4
      call_indirect (type 2)
    )
    (func (;5;) (type 2) (param i32 i32 i32 i32 i32 i32)
      local.get 0
      local.get 1
      local.get 2
      local.get 3
      local.get 4
      local.get 5
      i32.const 5
      call_indirect (type 2)
    )
    (@producers
      (processed-by "wit-component" "0.263.0")
    )
  )
  (core instance $wit-component-shim-instance (;0;) (instantiate $wit-component-shim-module))
  (alias export $symbolon:plugin/types@0.1.0 "context" (type $context (;5;)))
  (alias export $symbolon:plugin/types@0.1.0 "error" (type $"#type6 error" (@name "error") (;6;)))
  (alias export $symbolon:plugin/types@0.1.0 "metadata" (type $metadata (;7;)))
  (alias export $symbolon:plugin/types@0.1.0 "seconds" (type $seconds (;8;)))
  (alias export $symbolon:plugin/types@0.1.0 "timestamp" (type $timestamp (;9;)))
  (type (;10;) (tuple string string))
  (type (;11;) (list u8))
  (type (;12;) (tuple string 11))
  (type (;13;) (list 12))
  (type (;14;) (record (field "reservation" string) (field "role" string) (field "role-config" string) (field "ttl" $seconds) (field "principal" 10) (field "materials" 13) (field "metadata" $metadata)))
  (type (;15;) (record (field "reservation" string) (field "fields" 13) (field "expires-at" $timestamp) (field "renewable" bool) (field "revocable" bool) (field "handle" 11) (field "metadata" $metadata)))
  (type (;16;) (record (field "reservation" string) (field "role" string) (field "role-config" string) (field "handle" 11)))
  (type (;17;) (enum "usable" "disabled" "gone"))
  (type (;18;) (enum "named" "listable" "expires"))
  (type (;19;) (option u16))
  (type (;20;) (list string))
  (type (;21;) (record (field "scheme" string) (field "host" string) (field "port" 19) (field "methods" 20) (field "path-prefix" string)))
  (type (;22;) (list 21))
  (type (;23;) (option 18))
  (type (;24;) (record (field "name" string) (field "version" string) (field "summary" string) (field "config-schema" string) (field "egress" 22) (field "recovery" 23) (field "metadata" $metadata)))
  (type (;25;) (record (field "remarks" 20) (field "metadata" $metadata)))
  (alias core export $wit-component-shim-instance "0" (core func $indirect-symbolon:plugin/log@0.1.0-log (;0;)))
  (core instance $symbolon:plugin/log@0.1.0 (;1;)
    (export "log" (func $indirect-symbolon:plugin/log@0.1.0-log))
  )
  (alias core export $wit-component-shim-instance "1" (core func $indirect-symbolon:plugin/config@0.1.0-get (;1;)))
  (alias core export $wit-component-shim-instance "2" (core func $indirect-symbolon:plugin/config@0.1.0-roles (;2;)))
  (core instance $symbolon:plugin/config@0.1.0 (;2;)
    (export "get" (func $indirect-symbolon:plugin/config@0.1.0-get))
    (export "roles" (func $indirect-symbolon:plugin/config@0.1.0-roles))
  )
  (alias core export $wit-component-shim-instance "3" (core func $indirect-symbolon:plugin/sql@0.1.0-query (;3;)))
  (alias core export $wit-component-shim-instance "4" (core func $indirect-symbolon:plugin/sql@0.1.0-transaction (;4;)))
  (alias core export $wit-component-shim-instance "5" (core func $indirect-symbolon:plugin/sql@0.1.0-execute (;5;)))
  (core instance $symbolon:plugin/sql@0.1.0 (;3;)
    (export "query" (func $indirect-symbolon:plugin/sql@0.1.0-query))
    (export "transaction" (func $indirect-symbolon:plugin/sql@0.1.0-transaction))
    (export "execute" (func $indirect-symbolon:plugin/sql@0.1.0-execute))
  )
  (core instance $main (;4;) (instantiate $main
      (with "symbolon:plugin/log@0.1.0" (instance $symbolon:plugin/log@0.1.0))
      (with "symbolon:plugin/config@0.1.0" (instance $symbolon:plugin/config@0.1.0))
      (with "symbolon:plugin/sql@0.1.0" (instance $symbolon:plugin/sql@0.1.0))
    )
  )
  (alias core export $main "memory" (core memory $memory (;0;)))
  (core module $wit-component-fixup (;2;)
    (type (;0;) (func (param i32 i32 i32 i32 i32)))
    (type (;1;) (func (param i32)))
    (type (;2;) (func (param i32 i32 i32 i32 i32 i32)))
    (import "actual" "0" (func (;0;) (type 0)))
    (import "actual" "1" (func (;1;) (type 1)))
    (import "actual" "2" (func (;2;) (type 1)))
    (import "actual" "3" (func (;3;) (type 2)))
    (import "actual" "4" (func (;4;) (type 2)))
    (import "actual" "5" (func (;5;) (type 2)))
    (import "shim" "$imports" (table (;0;) 6 6 funcref))
    (elem (;0;) (i32.const 0) func 0 1 2 3 4 5)
    (@producers
      (processed-by "wit-component" "0.263.0")
    )
  )
  (alias export $symbolon:plugin/log@0.1.0 "log" (func $log (;0;)))
  (core func $"#core-func6 indirect-symbolon:plugin/log@0.1.0-log" (@name "indirect-symbolon:plugin/log@0.1.0-log") (;6;) (canon lower (func $log) (memory $memory) string-encoding=utf8))
  (alias export $symbolon:plugin/config@0.1.0 "get" (func $get (;1;)))
  (alias core export $main "cabi_realloc" (core func $cabi_realloc (;7;)))
  (core func $"#core-func8 indirect-symbolon:plugin/config@0.1.0-get" (@name "indirect-symbolon:plugin/config@0.1.0-get") (;8;) (canon lower (func $get) (memory $memory) (realloc $cabi_realloc) string-encoding=utf8))
  (alias export $symbolon:plugin/config@0.1.0 "roles" (func $roles (;2;)))
  (core func $"#core-func9 indirect-symbolon:plugin/config@0.1.0-roles" (@name "indirect-symbolon:plugin/config@0.1.0-roles") (;9;) (canon lower (func $roles) (memory $memory) (realloc $cabi_realloc) string-encoding=utf8))
  (alias export $symbolon:plugin/sql@0.1.0 "query" (func $query (;3;)))
  (core func $"#core-func10 indirect-symbolon:plugin/sql@0.1.0-query" (@name "indirect-symbolon:plugin/sql@0.1.0-query") (;10;) (canon lower (func $query) (memory $memory) (realloc $cabi_realloc) string-encoding=utf8))
  (alias export $symbolon:plugin/sql@0.1.0 "transaction" (func $transaction (;4;)))
  (core func $"#core-func11 indirect-symbolon:plugin/sql@0.1.0-transaction" (@name "indirect-symbolon:plugin/sql@0.1.0-transaction") (;11;) (canon lower (func $transaction) (memory $memory) (realloc $cabi_realloc) string-encoding=utf8))
  (alias export $symbolon:plugin/sql@0.1.0 "execute" (func $execute (;5;)))
  (core func $"#core-func12 indirect-symbolon:plugin/sql@0.1.0-execute" (@name "indirect-symbolon:plugin/sql@0.1.0-execute") (;12;) (canon lower (func $execute) (memory $memory) (realloc $cabi_realloc) string-encoding=utf8))
  (core instance $actual (;5;)
    (export "0" (func $"#core-func6 indirect-symbolon:plugin/log@0.1.0-log"))
    (export "1" (func $"#core-func8 indirect-symbolon:plugin/config@0.1.0-get"))
    (export "2" (func $"#core-func9 indirect-symbolon:plugin/config@0.1.0-roles"))
    (export "3" (func $"#core-func10 indirect-symbolon:plugin/sql@0.1.0-query"))
    (export "4" (func $"#core-func11 indirect-symbolon:plugin/sql@0.1.0-transaction"))
    (export "5" (func $"#core-func12 indirect-symbolon:plugin/sql@0.1.0-execute"))
  )
  (core instance $fixup (;6;) (instantiate $wit-component-fixup
      (with "actual" (instance $actual))
      (with "shim" (instance $wit-component-shim-instance))
    )
  )
  (type (;26;) (result 15 (error $"#type6 error")))
  (type (;27;) (func (param "context" $context) (param "request" 14) (result 26)))
  (alias core export $main "symbolon:plugin/credentials@0.1.0#issue" (core func $symbolon:plugin/credentials@0.1.0#issue (;13;)))
  (func $issue (;6;) (type 27) (canon lift (core func $symbolon:plugin/credentials@0.1.0#issue) (memory $memory) (realloc $cabi_realloc) string-encoding=utf8))
  (type (;28;) (result $timestamp (error $"#type6 error")))
  (type (;29;) (func (param "context" $context) (param "reference" 16) (param "ttl" $seconds) (result 28)))
  (alias core export $main "symbolon:plugin/credentials@0.1.0#renew" (core func $symbolon:plugin/credentials@0.1.0#renew (;14;)))
  (func $renew (;7;) (type 29) (canon lift (core func $symbolon:plugin/credentials@0.1.0#renew) (memory $memory) (realloc $cabi_realloc) string-encoding=utf8))
  (type (;30;) (result (error $"#type6 error")))
  (type (;31;) (func (param "context" $context) (param "reference" 16) (result 30)))
  (alias core export $main "symbolon:plugin/credentials@0.1.0#revoke" (core func $symbolon:plugin/credentials@0.1.0#revoke (;15;)))
  (func $revoke (;8;) (type 31) (canon lift (core func $symbolon:plugin/credentials@0.1.0#revoke) (memory $memory) (realloc $cabi_realloc) string-encoding=utf8))
  (type (;32;) (result 17 (error $"#type6 error")))
  (type (;33;) (func (param "context" $context) (param "reference" 16) (result 32)))
  (alias core export $main "symbolon:plugin/credentials@0.1.0#verify" (core func $symbolon:plugin/credentials@0.1.0#verify (;16;)))
  (func $verify (;9;) (type 33) (canon lift (core func $symbolon:plugin/credentials@0.1.0#verify) (memory $memory) (realloc $cabi_realloc) string-encoding=utf8))
  (type (;34;) (option string))
  (type (;35;) (tuple 20 34))
  (type (;36;) (result 35 (error $"#type6 error")))
  (type (;37;) (func (param "context" $context) (param "next" 34) (result 36)))
  (alias core export $main "symbolon:plugin/credentials@0.1.0#list-issued" (core func $symbolon:plugin/credentials@0.1.0#list-issued (;17;)))
  (func $list-issued (;10;) (type 37) (canon lift (core func $symbolon:plugin/credentials@0.1.0#list-issued) (memory $memory) (realloc $cabi_realloc) string-encoding=utf8))
  (alias export $symbolon:plugin/types@0.1.0 "error-kind" (type $error-kind (;38;)))
  (component $symbolon:plugin/credentials@0.1.0-shim-component (;0;)
    (type (;0;) (tuple string string))
    (type (;1;) (list 0))
    (import "import-type-metadata" (type (;2;) (eq 1)))
    (type (;3;) (record (field "request-id" string) (field "deadline-in-ms" u64) (field "metadata" 2)))
    (import "import-type-context" (type (;4;) (eq 3)))
    (type (;5;) (enum "invalid-request" "invalid-config" "unauthenticated" "permission-denied" "not-found" "conflict" "rate-limited" "unavailable" "timeout" "unsupported" "internal" "other"))
    (import "import-type-error-kind" (type (;6;) (eq 5)))
    (type (;7;) (option u64))
    (type (;8;) (option u16))
    (type (;9;) (record (field "kind" 6) (field "code" string) (field "message" string) (field "retry-after-ms" 7) (field "request-sent" bool) (field "upstream-status" 8) (field "metadata" 2)))
    (import "import-type-error" (type (;10;) (eq 9)))
    (type (;11;) u64)
    (import "import-type-seconds" (type (;12;) (eq 11)))
    (type (;13;) u64)
    (import "import-type-timestamp" (type (;14;) (eq 13)))
    (import "import-type-context0" (type (;15;) (eq 4)))
    (import "import-type-seconds0" (type (;16;) (eq 12)))
    (type (;17;) (list u8))
    (type (;18;) (tuple string 17))
    (type (;19;) (list 18))
    (import "import-type-metadata0" (type (;20;) (eq 2)))
    (type (;21;) (record (field "reservation" string) (field "role" string) (field "role-config" string) (field "ttl" 16) (field "principal" 0) (field "materials" 19) (field "metadata" 20)))
    (import "import-type-issue-request" (type (;22;) (eq 21)))
    (import "import-type-timestamp0" (type (;23;) (eq 14)))
    (type (;24;) (record (field "reservation" string) (field "fields" 19) (field "expires-at" 23) (field "renewable" bool) (field "revocable" bool) (field "handle" 17) (field "metadata" 20)))
    (import "import-type-issued" (type (;25;) (eq 24)))
    (import "import-type-error0" (type (;26;) (eq 10)))
    (type (;27;) (result 25 (error 26)))
    (type (;28;) (func (param "context" 15) (param "request" 22) (result 27)))
    (import "import-func-issue" (func (;0;) (type 28)))
    (type (;29;) (record (field "reservation" string) (field "role" string) (field "role-config" string) (field "handle" 17)))
    (import "import-type-reference" (type (;30;) (eq 29)))
    (type (;31;) (result 23 (error 26)))
    (type (;32;) (func (param "context" 15) (param "reference" 30) (param "ttl" 16) (result 31)))
    (import "import-func-renew" (func (;1;) (type 32)))
    (type (;33;) (result (error 26)))
    (type (;34;) (func (param "context" 15) (param "reference" 30) (result 33)))
    (import "import-func-revoke" (func (;2;) (type 34)))
    (type (;35;) (enum "usable" "disabled" "gone"))
    (import "import-type-state" (type (;36;) (eq 35)))
    (type (;37;) (result 36 (error 26)))
    (type (;38;) (func (param "context" 15) (param "reference" 30) (result 37)))
    (import "import-func-verify" (func (;3;) (type 38)))
    (type (;39;) (option string))
    (type (;40;) (list string))
    (type (;41;) (tuple 40 39))
    (type (;42;) (result 41 (error 26)))
    (type (;43;) (func (param "context" 15) (param "next" 39) (result 42)))
    (import "import-func-list-issued" (func (;4;) (type 43)))
    (export (;44;) "context" (type 4))
    (export (;45;) "error" (type 10))
    (export (;46;) "metadata" (type 2))
    (export (;47;) "seconds" (type 12))
    (export (;48;) "timestamp" (type 14))
    (type (;49;) (list u8))
    (type (;50;) (tuple string 49))
    (type (;51;) (list 50))
    (type (;52;) (record (field "reservation" string) (field "role" string) (field "role-config" string) (field "ttl" 47) (field "principal" 0) (field "materials" 51) (field "metadata" 46)))
    (export (;53;) "issue-request" (type 52))
    (type (;54;) (record (field "reservation" string) (field "fields" 51) (field "expires-at" 48) (field "renewable" bool) (field "revocable" bool) (field "handle" 49) (field "metadata" 46)))
    (export (;55;) "issued" (type 54))
    (type (;56;) (record (field "reservation" string) (field "role" string) (field "role-config" string) (field "handle" 49)))
    (export (;57;) "reference" (type 56))
    (type (;58;) (enum "usable" "disabled" "gone"))
    (export (;59;) "state" (type 58))
    (type (;60;) (result 55 (error 45)))
    (type (;61;) (func (param "context" 44) (param "request" 53) (result 60)))
    (export (;5;) "issue" (func 0) (func (type 61)))
    (type (;62;) (result 48 (error 45)))
    (type (;63;) (func (param "context" 44) (param "reference" 57) (param "ttl" 47) (result 62)))
    (export (;6;) "renew" (func 1) (func (type 63)))
    (type (;64;) (result (error 45)))
    (type (;65;) (func (param "context" 44) (param "reference" 57) (result 64)))
    (export (;7;) "revoke" (func 2) (func (type 65)))
    (type (;66;) (result 59 (error 45)))
    (type (;67;) (func (param "context" 44) (param "reference" 57) (result 66)))
    (export (;8;) "verify" (func 3) (func (type 67)))
    (type (;68;) (option string))
    (type (;69;) (list string))
    (type (;70;) (tuple 69 68))
    (type (;71;) (result 70 (error 45)))
    (type (;72;) (func (param "context" 44) (param "next" 68) (result 71)))
    (export (;9;) "list-issued" (func 4) (func (type 72)))
  )
  (instance $symbolon:plugin/credentials@0.1.0-shim-instance (;4;) (instantiate $symbolon:plugin/credentials@0.1.0-shim-component
      (with "import-func-issue" (func $issue))
      (with "import-func-renew" (func $renew))
      (with "import-func-revoke" (func $revoke))
      (with "import-func-verify" (func $verify))
      (with "import-func-list-issued" (func $list-issued))
      (with "import-type-metadata" (type $metadata))
      (with "import-type-context" (type $context))
      (with "import-type-error-kind" (type $error-kind))
      (with "import-type-error" (type $"#type6 error"))
      (with "import-type-seconds" (type $seconds))
      (with "import-type-timestamp" (type $timestamp))
      (with "import-type-context0" (type $context))
      (with "import-type-seconds0" (type $seconds))
      (with "import-type-metadata0" (type $metadata))
      (with "import-type-issue-request" (type 14))
      (with "import-type-timestamp0" (type $timestamp))
      (with "import-type-issued" (type 15))
      (with "import-type-error0" (type $"#type6 error"))
      (with "import-type-reference" (type 16))
      (with "import-type-state" (type 17))
    )
  )
  (export $symbolon:plugin/credentials@0.1.0 (;5;) "symbolon:plugin/credentials@0.1.0" (instance $symbolon:plugin/credentials@0.1.0-shim-instance))
  (type (;39;) (func (result 24)))
  (alias core export $main "symbolon:plugin/describe@0.1.0#describe" (core func $symbolon:plugin/describe@0.1.0#describe (;18;)))
  (func $describe (;11;) (type 39) (canon lift (core func $symbolon:plugin/describe@0.1.0#describe) (memory $memory) string-encoding=utf8))
  (component $symbolon:plugin/describe@0.1.0-shim-component (;1;)
    (type (;0;) (tuple string string))
    (type (;1;) (list 0))
    (import "import-type-metadata" (type (;2;) (eq 1)))
    (type (;3;) (option u16))
    (type (;4;) (list string))
    (type (;5;) (record (field "scheme" string) (field "host" string) (field "port" 3) (field "methods" 4) (field "path-prefix" string)))
    (import "import-type-egress" (type (;6;) (eq 5)))
    (type (;7;) (list 6))
    (type (;8;) (enum "named" "listable" "expires"))
    (import "import-type-recovery" (type (;9;) (eq 8)))
    (type (;10;) (option 9))
    (import "import-type-metadata0" (type (;11;) (eq 2)))
    (type (;12;) (record (field "name" string) (field "version" string) (field "summary" string) (field "config-schema" string) (field "egress" 7) (field "recovery" 10) (field "metadata" 11)))
    (import "import-type-descriptor" (type (;13;) (eq 12)))
    (type (;14;) (func (result 13)))
    (import "import-func-describe" (func (;0;) (type 14)))
    (export (;15;) "metadata" (type 2))
    (type (;16;) (enum "named" "listable" "expires"))
    (export (;17;) "recovery" (type 16))
    (type (;18;) (option u16))
    (type (;19;) (list string))
    (type (;20;) (record (field "scheme" string) (field "host" string) (field "port" 18) (field "methods" 19) (field "path-prefix" string)))
    (export (;21;) "egress" (type 20))
    (type (;22;) (list 21))
    (type (;23;) (option 17))
    (type (;24;) (record (field "name" string) (field "version" string) (field "summary" string) (field "config-schema" string) (field "egress" 22) (field "recovery" 23) (field "metadata" 15)))
    (export (;25;) "descriptor" (type 24))
    (type (;26;) (func (result 25)))
    (export (;1;) "describe" (func 0) (func (type 26)))
  )
  (instance $symbolon:plugin/describe@0.1.0-shim-instance (;6;) (instantiate $symbolon:plugin/describe@0.1.0-shim-component
      (with "import-func-describe" (func $describe))
      (with "import-type-metadata" (type $metadata))
      (with "import-type-egress" (type 21))
      (with "import-type-recovery" (type 18))
      (with "import-type-metadata0" (type $metadata))
      (with "import-type-descriptor" (type 24))
    )
  )
  (export $symbolon:plugin/describe@0.1.0 (;7;) "symbolon:plugin/describe@0.1.0" (instance $symbolon:plugin/describe@0.1.0-shim-instance))
  (type (;40;) (result 25 (error $"#type6 error")))
  (type (;41;) (func (result 40)))
  (alias core export $main "symbolon:plugin/check@0.1.0#validate" (core func $symbolon:plugin/check@0.1.0#validate (;19;)))
  (func $validate (;12;) (type 41) (canon lift (core func $symbolon:plugin/check@0.1.0#validate) (memory $memory) string-encoding=utf8))
  (type (;42;) (func (param "context" $context) (result 40)))
  (alias core export $main "symbolon:plugin/check@0.1.0#probe" (core func $symbolon:plugin/check@0.1.0#probe (;20;)))
  (func $probe (;13;) (type 42) (canon lift (core func $symbolon:plugin/check@0.1.0#probe) (memory $memory) (realloc $cabi_realloc) string-encoding=utf8))
  (component $symbolon:plugin/check@0.1.0-shim-component (;2;)
    (type (;0;) (tuple string string))
    (type (;1;) (list 0))
    (import "import-type-metadata" (type (;2;) (eq 1)))
    (type (;3;) (record (field "request-id" string) (field "deadline-in-ms" u64) (field "metadata" 2)))
    (import "import-type-context" (type (;4;) (eq 3)))
    (type (;5;) (enum "invalid-request" "invalid-config" "unauthenticated" "permission-denied" "not-found" "conflict" "rate-limited" "unavailable" "timeout" "unsupported" "internal" "other"))
    (import "import-type-error-kind" (type (;6;) (eq 5)))
    (type (;7;) (option u64))
    (type (;8;) (option u16))
    (type (;9;) (record (field "kind" 6) (field "code" string) (field "message" string) (field "retry-after-ms" 7) (field "request-sent" bool) (field "upstream-status" 8) (field "metadata" 2)))
    (import "import-type-error" (type (;10;) (eq 9)))
    (type (;11;) (list string))
    (import "import-type-metadata0" (type (;12;) (eq 2)))
    (type (;13;) (record (field "remarks" 11) (field "metadata" 12)))
    (import "import-type-report" (type (;14;) (eq 13)))
    (import "import-type-error0" (type (;15;) (eq 10)))
    (type (;16;) (result 14 (error 15)))
    (type (;17;) (func (result 16)))
    (import "import-func-validate" (func (;0;) (type 17)))
    (import "import-type-context0" (type (;18;) (eq 4)))
    (type (;19;) (func (param "context" 18) (result 16)))
    (import "import-func-probe" (func (;1;) (type 19)))
    (export (;20;) "context" (type 4))
    (export (;21;) "error" (type 10))
    (export (;22;) "metadata" (type 2))
    (type (;23;) (list string))
    (type (;24;) (record (field "remarks" 23) (field "metadata" 22)))
    (export (;25;) "report" (type 24))
    (type (;26;) (result 25 (error 21)))
    (type (;27;) (func (result 26)))
    (export (;2;) "validate" (func 0) (func (type 27)))
    (type (;28;) (func (param "context" 20) (result 26)))
    (export (;3;) "probe" (func 1) (func (type 28)))
  )
  (instance $symbolon:plugin/check@0.1.0-shim-instance (;8;) (instantiate $symbolon:plugin/check@0.1.0-shim-component
      (with "import-func-validate" (func $validate))
      (with "import-func-probe" (func $probe))
      (with "import-type-metadata" (type $metadata))
      (with "import-type-context" (type $context))
      (with "import-type-error-kind" (type $error-kind))
      (with "import-type-error" (type $"#type6 error"))
      (with "import-type-metadata0" (type $metadata))
      (with "import-type-report" (type 25))
      (with "import-type-error0" (type $"#type6 error"))
      (with "import-type-context0" (type $context))
    )
  )
  (export $symbolon:plugin/check@0.1.0 (;9;) "symbolon:plugin/check@0.1.0" (instance $symbolon:plugin/check@0.1.0-shim-instance))
  (@producers
    (processed-by "wit-component" "0.263.0")
  )
)
