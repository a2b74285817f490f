(import "symbolon:plugin/log@VERSION" "log" (func $log (param i32 i32 i32 i32 i32)))
(import "symbolon:plugin/config@VERSION" "get" (func $get (param i32)))
(import "symbolon:plugin/config@VERSION" "roles" (func $roles (param i32)))
