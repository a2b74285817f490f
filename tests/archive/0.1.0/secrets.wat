(component
  (type $ty-symbolon:plugin/log@0.1.0 (;0;)
    (instance
      (type (;0;) (enum "debug" "info" "warn" "error"))
      (export (;1;) "level" (type (eq 0)))
      (type (;2;) (tuple string string))
      (type (;3;) (list 2))
      (type (;4;) (func (param "level" 1) (param "message" string) (param "fields" 3)))
      (export (;0;) "log" (func (type 4)))
    )
  )
  (import "symbolon:plugin/log@0.1.0" (instance $symbolon:plugin/log@0.1.0 (;0;) (type $ty-symbolon:plugin/log@0.1.0)))
  (type $ty-symbolon:plugin/config@0.1.0 (;1;)
    (instance
      (type (;0;) (func (result string)))
      (export (;0;) "get" (func (type 0)))
      (type (;1;) (tuple string string))
      (type (;2;) (list 1))
      (type (;3;) (func (result 2)))
      (export (;1;) "roles" (func (type 3)))
    )
  )
  (import "symbolon:plugin/config@0.1.0" (instance $symbolon:plugin/config@0.1.0 (;1;) (type $ty-symbolon:plugin/config@0.1.0)))
  (type $ty-symbolon:plugin/types@0.1.0 (;2;)
    (instance
      (type (;0;) (tuple string string))
      (type (;1;) (list 0))
      (export (;2;) "metadata" (type (eq 1)))
      (type (;3;) (record (field "request-id" string) (field "deadline-in-ms" u64) (field "metadata" 2)))
      (export (;4;) "context" (type (eq 3)))
      (type (;5;) (enum "invalid-request" "invalid-config" "unauthenticated" "permission-denied" "not-found" "conflict" "rate-limited" "unavailable" "timeout" "unsupported" "internal" "other"))
      (export (;6;) "error-kind" (type (eq 5)))
      (type (;7;) (option u64))
      (type (;8;) (option u16))
      (type (;9;) (record (field "kind" 6) (field "code" string) (field "message" string) (field "retry-after-ms" 7) (field "request-sent" bool) (field "upstream-status" 8) (field "metadata" 2)))
      (export (;10;) "error" (type (eq 9)))
      (type (;11;) u64)
      (export (;12;) "timestamp" (type (eq 11)))
    )
  )
  (import "symbolon:plugin/types@0.1.0" (instance $symbolon:plugin/types@0.1.0 (;2;) (type $ty-symbolon:plugin/types@0.1.0)))
  (core module $main (;0;)
    (type (;0;) (func (param i32 i32 i32 i32 i32)))
    (type (;1;) (func (param i32)))
    (type (;2;) (func (param i32 i32 i32 i32 i32) (result i32)))
    (type (;3;) (func (param i32 i32 i64 i32 i32 i32 i32 i32 i32 i32) (result i32)))
    (type (;4;) (func (param i32 i32 i64 i32 i32 i32 i32) (result i32)))
    (type (;5;) (func (param i32 i32 i64 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
    (type (;6;) (func (param i32 i32 i32 i32) (result i32)))
    (type (;7;) (func (param i32 i32 i32)))
    (type (;8;) (func (result i32)))
    (type (;9;) (func (param i32 i32 i64 i32 i32) (result i32)))
    (import "symbolon:plugin/log@0.1.0" "log" (func $log (;0;) (type 0)))
    (import "symbolon:plugin/config@0.1.0" "get" (func $get (;1;) (type 1)))
    (import "symbolon:plugin/config@0.1.0" "roles" (func $roles (;2;) (type 1)))
    (memory (;0;) 1)
    (global $heap (;0;) (mut i32) i32.const 32768)
    (export "symbolon:plugin/secrets@0.1.0#read" (func 4))
    (export "symbolon:plugin/secrets@0.1.0#read-many" (func 5))
    (export "symbolon:plugin/secrets@0.1.0#list" (func 6))
    (export "memory" (memory 0))
    (export "cabi_realloc" (func 7))
    (export "symbolon:plugin/describe@0.1.0#describe" (func 11))
    (export "symbolon:plugin/check@0.1.0#validate" (func 12))
    (export "symbolon:plugin/check@0.1.0#probe" (func 13))
    (func $secret (;3;) (type 2) (param $path i32) (param $length i32) (param i32 i32 i32) (result i32)
      (local $first i32)
      local.get $path
      i32.load8_u
      local.set $first
      local.get $first
      i32.const 111
      i32.eq
      local.get $first
      i32.const 102
      i32.eq
      i32.or
      i32.eqz
      if ;; label = @1
        call $failure
        return
      end
      i32.const 2048
      i32.const 0
      i32.store8
      i32.const 2056
      local.get $path
      local.get $length
      call $pair
      i32.const 2064
      local.get 2
      i32.store
      i32.const 2068
      local.get 3
      local.get 4
      call $pair
      i32.const 2076
      i32.const 200
      i32.const 10
      call $pair
      local.get $first
      i32.const 111
      i32.eq
      if ;; label = @1
        i32.const 2084
        i32.const 0
        i32.store
        i32.const 2088
        i32.const 183
        i32.const 7
        call $pair
        i32.const 2096
        i32.const 0
        i32.store
      else
        i32.const 2084
        i32.const 1
        i32.store
        i32.const 1300
        i32.const 192
        i32.const 5
        call $pair
        i32.const 1308
        i32.const 183
        i32.const 7
        call $pair
        i32.const 2088
        i32.const 1300
        i32.const 1
        call $pair
        i32.const 2096
        i32.const 1
        i32.store
        i32.const 2104
        i64.const 1900000000
        i64.store
      end
      i32.const 2112
      call $metadata
      i32.const 2048
    )
    (func (;4;) (type 3) (param i32 i32 i64 i32 i32 i32 i32 i32 i32 i32) (result i32)
      local.get 5
      local.get 6
      local.get 7
      local.get 8
      local.get 9
      call $secret
    )
    (func (;5;) (type 4) (param i32 i32 i64 i32 i32) (param $asked i32) (param $count i32) (result i32)
      (local $n i32)
      i32.const 2912
      i32.const 3000
      local.get $count
      call $pair
      block $done
        loop $next
          local.get $n
          local.get $count
          i32.eq
          br_if $done
          i32.const 3000
          local.get $n
          i32.const 72
          i32.mul
          i32.add
          local.get $asked
          i32.load
          local.get $asked
          i32.load offset=4
          local.get $asked
          i32.load8_u offset=8
          local.get $asked
          i32.load offset=12
          local.get $asked
          i32.load offset=16
          call $secret
          i32.const 72
          memory.copy
          local.get $asked
          i32.const 20
          i32.add
          local.set $asked
          local.get $n
          i32.const 1
          i32.add
          local.set $n
          br $next
        end
      end
      i32.const 2904
    )
    (func (;6;) (type 5) (param i32 i32 i64 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)
      i32.const 1300
      local.get 6
      local.get 7
      call $pair
      i32.const 2056
      i32.const 1300
      i32.const 1
      call $pair
      i32.const 2064
      local.get 8
      i32.eqz
      i32.store8
      i32.const 2068
      i32.const 178
      i32.const 4
      call $pair
      i32.const 2048
    )
    (func (;7;) (type 6) (param i32 i32 i32 i32) (result i32)
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
    (func $pair (;8;) (type 7) (param $at i32) (param $of i32) (param $length i32)
      local.get $at
      local.get $of
      i32.store
      local.get $at
      local.get $length
      i32.store offset=4
    )
    (func $metadata (;9;) (type 1) (param $at i32)
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
    (func $failure (;10;) (type 8) (result i32)
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
    (func (;11;) (type 8) (result i32)
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
    (func (;12;) (type 8) (result i32)
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
    (func (;13;) (type 9) (param i32 i32 i64 i32 i32) (result i32)
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
    (data (;0;) (i32.const 100) "archived")
    (data (;1;) (i32.const 110) "1.2.3")
    (data (;2;) (i32.const 116) "a guest of the archive")
    (data (;3;) (i32.const 140) "{}")
    (data (;4;) (i32.const 144) "https")
    (data (;5;) (i32.const 150) "archive.example.com")
    (data (;6;) (i32.const 170) "GET")
    (data (;7;) (i32.const 174) "/v1")
    (data (;8;) (i32.const 178) "made")
    (data (;9;) (i32.const 183) "by hand")
    (data (;10;) (i32.const 192) "token")
    (data (;11;) (i32.const 200) "text/plain")
    (data (;12;) (i32.const 212) "taken")
    (data (;13;) (i32.const 222) "somebody else has it")
    (@producers
      (processed-by "wit-component" "0.263.0")
    )
  )
  (core module $wit-component-shim-module (;1;)
    (type (;0;) (func (param i32 i32 i32 i32 i32)))
    (type (;1;) (func (param i32)))
    (table (;0;) 3 3 funcref)
    (export "0" (func 0))
    (export "1" (func 1))
    (export "2" (func 2))
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
    (@producers
      (processed-by "wit-component" "0.263.0")
    )
  )
  (core instance $wit-component-shim-instance (;0;) (instantiate $wit-component-shim-module))
  (alias export $symbolon:plugin/types@0.1.0 "context" (type $context (;3;)))
  (alias export $symbolon:plugin/types@0.1.0 "error" (type $error (;4;)))
  (alias export $symbolon:plugin/types@0.1.0 "metadata" (type $metadata (;5;)))
  (alias export $symbolon:plugin/types@0.1.0 "timestamp" (type $timestamp (;6;)))
  (type (;7;) (option string))
  (type (;8;) (record (field "path" string) (field "version" 7)))
  (type (;9;) (list u8))
  (type (;10;) (tuple string 9))
  (type (;11;) (list 10))
  (type (;12;) (variant (case "opaque" 9) (case "fields" 11)))
  (type (;13;) (option $timestamp))
  (type (;14;) (record (field "path" string) (field "version" 7) (field "content-type" string) (field "value" 12) (field "expires-at" 13) (field "metadata" $metadata)))
  (type (;15;) (list string))
  (type (;16;) (record (field "names" 15) (field "next" 7)))
  (type (;17;) (enum "named" "listable" "expires"))
  (type (;18;) (option u16))
  (type (;19;) (record (field "scheme" string) (field "host" string) (field "port" 18) (field "methods" 15) (field "path-prefix" string)))
  (type (;20;) (list 19))
  (type (;21;) (option 17))
  (type (;22;) (record (field "name" string) (field "version" string) (field "summary" string) (field "config-schema" string) (field "egress" 20) (field "recovery" 21) (field "metadata" $metadata)))
  (type (;23;) (record (field "remarks" 15) (field "metadata" $metadata)))
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
  (core instance $main (;3;) (instantiate $main
      (with "symbolon:plugin/log@0.1.0" (instance $symbolon:plugin/log@0.1.0))
      (with "symbolon:plugin/config@0.1.0" (instance $symbolon:plugin/config@0.1.0))
    )
  )
  (alias core export $main "memory" (core memory $memory (;0;)))
  (core module $wit-component-fixup (;2;)
    (type (;0;) (func (param i32 i32 i32 i32 i32)))
    (type (;1;) (func (param i32)))
    (import "actual" "0" (func (;0;) (type 0)))
    (import "actual" "1" (func (;1;) (type 1)))
    (import "actual" "2" (func (;2;) (type 1)))
    (import "shim" "$imports" (table (;0;) 3 3 funcref))
    (elem (;0;) (i32.const 0) func 0 1 2)
    (@producers
      (processed-by "wit-component" "0.263.0")
    )
  )
  (alias export $symbolon:plugin/log@0.1.0 "log" (func $log (;0;)))
  (core func $"#core-func3 indirect-symbolon:plugin/log@0.1.0-log" (@name "indirect-symbolon:plugin/log@0.1.0-log") (;3;) (canon lower (func $log) (memory $memory) string-encoding=utf8))
  (alias export $symbolon:plugin/config@0.1.0 "get" (func $get (;1;)))
  (alias core export $main "cabi_realloc" (core func $cabi_realloc (;4;)))
  (core func $"#core-func5 indirect-symbolon:plugin/config@0.1.0-get" (@name "indirect-symbolon:plugin/config@0.1.0-get") (;5;) (canon lower (func $get) (memory $memory) (realloc $cabi_realloc) string-encoding=utf8))
  (alias export $symbolon:plugin/config@0.1.0 "roles" (func $roles (;2;)))
  (core func $"#core-func6 indirect-symbolon:plugin/config@0.1.0-roles" (@name "indirect-symbolon:plugin/config@0.1.0-roles") (;6;) (canon lower (func $roles) (memory $memory) (realloc $cabi_realloc) string-encoding=utf8))
  (core instance $actual (;4;)
    (export "0" (func $"#core-func3 indirect-symbolon:plugin/log@0.1.0-log"))
    (export "1" (func $"#core-func5 indirect-symbolon:plugin/config@0.1.0-get"))
    (export "2" (func $"#core-func6 indirect-symbolon:plugin/config@0.1.0-roles"))
  )
  (core instance $fixup (;5;) (instantiate $wit-component-fixup
      (with "actual" (instance $actual))
      (with "shim" (instance $wit-component-shim-instance))
    )
  )
  (type (;24;) (result 14 (error $error)))
  (type (;25;) (func (param "context" $context) (param "selector" 8) (result 24)))
  (alias core export $main "symbolon:plugin/secrets@0.1.0#read" (core func $symbolon:plugin/secrets@0.1.0#read (;7;)))
  (func $read (;3;) (type 25) (canon lift (core func $symbolon:plugin/secrets@0.1.0#read) (memory $memory) (realloc $cabi_realloc) string-encoding=utf8))
  (type (;26;) (list 8))
  (type (;27;) (list 24))
  (type (;28;) (result 27 (error $error)))
  (type (;29;) (func (param "context" $context) (param "selectors" 26) (result 28)))
  (alias core export $main "symbolon:plugin/secrets@0.1.0#read-many" (core func $symbolon:plugin/secrets@0.1.0#read-many (;8;)))
  (func $read-many (;4;) (type 29) (canon lift (core func $symbolon:plugin/secrets@0.1.0#read-many) (memory $memory) (realloc $cabi_realloc) string-encoding=utf8))
  (type (;30;) (result 16 (error $error)))
  (type (;31;) (func (param "context" $context) (param "folder" 7) (param "next" 7) (result 30)))
  (alias core export $main "symbolon:plugin/secrets@0.1.0#list" (core func $symbolon:plugin/secrets@0.1.0#list (;9;)))
  (func $list (;5;) (type 31) (canon lift (core func $symbolon:plugin/secrets@0.1.0#list) (memory $memory) (realloc $cabi_realloc) string-encoding=utf8))
  (alias export $symbolon:plugin/types@0.1.0 "error-kind" (type $error-kind (;32;)))
  (component $symbolon:plugin/secrets@0.1.0-shim-component (;0;)
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
    (import "import-type-timestamp" (type (;12;) (eq 11)))
    (import "import-type-context0" (type (;13;) (eq 4)))
    (type (;14;) (option string))
    (type (;15;) (record (field "path" string) (field "version" 14)))
    (import "import-type-selector" (type (;16;) (eq 15)))
    (type (;17;) (list u8))
    (type (;18;) (tuple string 17))
    (type (;19;) (list 18))
    (type (;20;) (variant (case "opaque" 17) (case "fields" 19)))
    (import "import-type-value" (type (;21;) (eq 20)))
    (import "import-type-timestamp0" (type (;22;) (eq 12)))
    (type (;23;) (option 22))
    (import "import-type-metadata0" (type (;24;) (eq 2)))
    (type (;25;) (record (field "path" string) (field "version" 14) (field "content-type" string) (field "value" 21) (field "expires-at" 23) (field "metadata" 24)))
    (import "import-type-secret" (type (;26;) (eq 25)))
    (import "import-type-error0" (type (;27;) (eq 10)))
    (type (;28;) (result 26 (error 27)))
    (type (;29;) (func (param "context" 13) (param "selector" 16) (result 28)))
    (import "import-func-read" (func (;0;) (type 29)))
    (type (;30;) (list 16))
    (type (;31;) (list 28))
    (type (;32;) (result 31 (error 27)))
    (type (;33;) (func (param "context" 13) (param "selectors" 30) (result 32)))
    (import "import-func-read-many" (func (;1;) (type 33)))
    (type (;34;) (list string))
    (type (;35;) (record (field "names" 34) (field "next" 14)))
    (import "import-type-listing" (type (;36;) (eq 35)))
    (type (;37;) (result 36 (error 27)))
    (type (;38;) (func (param "context" 13) (param "folder" 14) (param "next" 14) (result 37)))
    (import "import-func-list" (func (;2;) (type 38)))
    (export (;39;) "context" (type 4))
    (export (;40;) "error" (type 10))
    (export (;41;) "metadata" (type 2))
    (export (;42;) "timestamp" (type 12))
    (type (;43;) (option string))
    (type (;44;) (record (field "path" string) (field "version" 43)))
    (export (;45;) "selector" (type 44))
    (type (;46;) (list u8))
    (type (;47;) (tuple string 46))
    (type (;48;) (list 47))
    (type (;49;) (variant (case "opaque" 46) (case "fields" 48)))
    (export (;50;) "value" (type 49))
    (type (;51;) (option 42))
    (type (;52;) (record (field "path" string) (field "version" 43) (field "content-type" string) (field "value" 50) (field "expires-at" 51) (field "metadata" 41)))
    (export (;53;) "secret" (type 52))
    (type (;54;) (list string))
    (type (;55;) (record (field "names" 54) (field "next" 43)))
    (export (;56;) "listing" (type 55))
    (type (;57;) (result 53 (error 40)))
    (type (;58;) (func (param "context" 39) (param "selector" 45) (result 57)))
    (export (;3;) "read" (func 0) (func (type 58)))
    (type (;59;) (list 45))
    (type (;60;) (list 57))
    (type (;61;) (result 60 (error 40)))
    (type (;62;) (func (param "context" 39) (param "selectors" 59) (result 61)))
    (export (;4;) "read-many" (func 1) (func (type 62)))
    (type (;63;) (result 56 (error 40)))
    (type (;64;) (func (param "context" 39) (param "folder" 43) (param "next" 43) (result 63)))
    (export (;5;) "list" (func 2) (func (type 64)))
  )
  (instance $symbolon:plugin/secrets@0.1.0-shim-instance (;3;) (instantiate $symbolon:plugin/secrets@0.1.0-shim-component
      (with "import-func-read" (func $read))
      (with "import-func-read-many" (func $read-many))
      (with "import-func-list" (func $list))
      (with "import-type-metadata" (type $metadata))
      (with "import-type-context" (type $context))
      (with "import-type-error-kind" (type $error-kind))
      (with "import-type-error" (type $error))
      (with "import-type-timestamp" (type $timestamp))
      (with "import-type-context0" (type $context))
      (with "import-type-selector" (type 8))
      (with "import-type-value" (type 12))
      (with "import-type-timestamp0" (type $timestamp))
      (with "import-type-metadata0" (type $metadata))
      (with "import-type-secret" (type 14))
      (with "import-type-error0" (type $error))
      (with "import-type-listing" (type 16))
    )
  )
  (export $symbolon:plugin/secrets@0.1.0 (;4;) "symbolon:plugin/secrets@0.1.0" (instance $symbolon:plugin/secrets@0.1.0-shim-instance))
  (type (;33;) (func (result 22)))
  (alias core export $main "symbolon:plugin/describe@0.1.0#describe" (core func $symbolon:plugin/describe@0.1.0#describe (;10;)))
  (func $describe (;6;) (type 33) (canon lift (core func $symbolon:plugin/describe@0.1.0#describe) (memory $memory) string-encoding=utf8))
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
  (instance $symbolon:plugin/describe@0.1.0-shim-instance (;5;) (instantiate $symbolon:plugin/describe@0.1.0-shim-component
      (with "import-func-describe" (func $describe))
      (with "import-type-metadata" (type $metadata))
      (with "import-type-egress" (type 19))
      (with "import-type-recovery" (type 17))
      (with "import-type-metadata0" (type $metadata))
      (with "import-type-descriptor" (type 22))
    )
  )
  (export $symbolon:plugin/describe@0.1.0 (;6;) "symbolon:plugin/describe@0.1.0" (instance $symbolon:plugin/describe@0.1.0-shim-instance))
  (type (;34;) (result 23 (error $error)))
  (type (;35;) (func (result 34)))
  (alias core export $main "symbolon:plugin/check@0.1.0#validate" (core func $symbolon:plugin/check@0.1.0#validate (;11;)))
  (func $validate (;7;) (type 35) (canon lift (core func $symbolon:plugin/check@0.1.0#validate) (memory $memory) string-encoding=utf8))
  (type (;36;) (func (param "context" $context) (result 34)))
  (alias core export $main "symbolon:plugin/check@0.1.0#probe" (core func $symbolon:plugin/check@0.1.0#probe (;12;)))
  (func $probe (;8;) (type 36) (canon lift (core func $symbolon:plugin/check@0.1.0#probe) (memory $memory) (realloc $cabi_realloc) string-encoding=utf8))
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
  (instance $symbolon:plugin/check@0.1.0-shim-instance (;7;) (instantiate $symbolon:plugin/check@0.1.0-shim-component
      (with "import-func-validate" (func $validate))
      (with "import-func-probe" (func $probe))
      (with "import-type-metadata" (type $metadata))
      (with "import-type-context" (type $context))
      (with "import-type-error-kind" (type $error-kind))
      (with "import-type-error" (type $error))
      (with "import-type-metadata0" (type $metadata))
      (with "import-type-report" (type 23))
      (with "import-type-error0" (type $error))
      (with "import-type-context0" (type $context))
    )
  )
  (export $symbolon:plugin/check@0.1.0 (;8;) "symbolon:plugin/check@0.1.0" (instance $symbolon:plugin/check@0.1.0-shim-instance))
  (@producers
    (processed-by "wit-component" "0.263.0")
  )
)
