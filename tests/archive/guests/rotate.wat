(func (export "symbolon:plugin/rotate@VERSION#rotate") (param i32 i32 i64 i32 i32 i32 i32) (result i32)
  (call $executed))
