;; A filter that calls the host as it is told: whoever tests writes records into its memory, each
;; callback makes their calls in turn. Every function of the ABI is in the table, in the order of
;; filter_functions.def; tests/unit/filter/filter_script.h has the places.
(module
  (type $t0 (func (result i32)))
  (type $t1 (func (param i32) (result i32)))
  (type $t2 (func (param i32 i32) (result i32)))
  (type $t3 (func (param i32 i32 i32) (result i32)))
  (type $t4 (func (param i32 i32 i32 i32) (result i32)))
  (type $t5 (func (param i32 i32 i32 i32 i32) (result i32)))
  (type $t6 (func (param i32 i32 i32 i32 i32 i32) (result i32)))
  (type $t8 (func (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (type $t9 (func (param i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (type $t10 (func (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (type $t12 (func (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (type $wide (func (param i32 i64) (result i32)))
  (type $grown (func (param i32)))
  (import "env" "proxy_log" (func $proxy_log (type $t3)))
  (import "env" "proxy_get_log_level" (func $proxy_get_log_level (type $t1)))
  (import "env" "proxy_get_current_time_nanoseconds"
    (func $proxy_get_current_time_nanoseconds (type $t1)))
  (import "env" "proxy_set_tick_period_milliseconds"
    (func $proxy_set_tick_period_milliseconds (type $t1)))
  (import "env" "proxy_done" (func $proxy_done (type $t0)))
  (import "env" "proxy_set_effective_context" (func $proxy_set_effective_context (type $t1)))
  (import "env" "proxy_get_buffer_bytes" (func $proxy_get_buffer_bytes (type $t5)))
  (import "env" "proxy_get_buffer_status" (func $proxy_get_buffer_status (type $t3)))
  (import "env" "proxy_set_buffer_bytes" (func $proxy_set_buffer_bytes (type $t5)))
  (import "env" "proxy_get_header_map_size" (func $proxy_get_header_map_size (type $t2)))
  (import "env" "proxy_get_header_map_pairs" (func $proxy_get_header_map_pairs (type $t3)))
  (import "env" "proxy_get_header_map_value" (func $proxy_get_header_map_value (type $t5)))
  (import "env" "proxy_set_header_map_pairs" (func $proxy_set_header_map_pairs (type $t3)))
  (import "env" "proxy_add_header_map_value" (func $proxy_add_header_map_value (type $t5)))
  (import "env" "proxy_replace_header_map_value" (func $proxy_replace_header_map_value (type $t5)))
  (import "env" "proxy_remove_header_map_value" (func $proxy_remove_header_map_value (type $t3)))
  (import "env" "proxy_continue_stream" (func $proxy_continue_stream (type $t1)))
  (import "env" "proxy_close_stream" (func $proxy_close_stream (type $t1)))
  (import "env" "proxy_send_local_response" (func $proxy_send_local_response (type $t8)))
  (import "env" "proxy_http_call" (func $proxy_http_call (type $t10)))
  (import "env" "proxy_grpc_call" (func $proxy_grpc_call (type $t12)))
  (import "env" "proxy_grpc_stream" (func $proxy_grpc_stream (type $t9)))
  (import "env" "proxy_grpc_send" (func $proxy_grpc_send (type $t4)))
  (import "env" "proxy_grpc_cancel" (func $proxy_grpc_cancel (type $t1)))
  (import "env" "proxy_grpc_close" (func $proxy_grpc_close (type $t1)))
  (import "env" "proxy_get_status" (func $proxy_get_status (type $t3)))
  (import "env" "proxy_set_shared_data" (func $proxy_set_shared_data (type $t5)))
  (import "env" "proxy_get_shared_data" (func $proxy_get_shared_data (type $t5)))
  (import "env" "proxy_register_shared_queue" (func $proxy_register_shared_queue (type $t3)))
  (import "env" "proxy_resolve_shared_queue" (func $proxy_resolve_shared_queue (type $t5)))
  (import "env" "proxy_enqueue_shared_queue" (func $proxy_enqueue_shared_queue (type $t3)))
  (import "env" "proxy_dequeue_shared_queue" (func $proxy_dequeue_shared_queue (type $t3)))
  (import "env" "proxy_define_metric" (func $proxy_define_metric (type $t4)))
  (import "env" "proxy_record_metric" (func $proxy_record_metric (type $wide)))
  (import "env" "proxy_increment_metric" (func $proxy_increment_metric (type $wide)))
  (import "env" "proxy_get_metric" (func $proxy_get_metric (type $t2)))
  (import "env" "proxy_get_property" (func $proxy_get_property (type $t4)))
  (import "env" "proxy_set_property" (func $proxy_set_property (type $t4)))
  (import "env" "proxy_call_foreign_function" (func $proxy_call_foreign_function (type $t6)))
  (import "env" "proxy_get_configuration" (func $proxy_get_configuration (type $t2)))
  (import "env" "proxy_continue_request" (func $proxy_continue_request (type $t0)))
  (import "env" "proxy_continue_response" (func $proxy_continue_response (type $t0)))
  (import "env" "proxy_clear_route_cache" (func $proxy_clear_route_cache (type $t0)))
  (import "env" "pthread_equal" (func $pthread_equal (type $t2)))
  (import "env" "emscripten_notify_memory_growth"
    (func $emscripten_notify_memory_growth (type $grown)))
  (memory (export "memory") 4 64)
  (table funcref (elem
    $proxy_log
    $proxy_get_log_level
    $proxy_get_current_time_nanoseconds
    $proxy_set_tick_period_milliseconds
    $proxy_done
    $proxy_set_effective_context
    $proxy_get_buffer_bytes
    $proxy_get_buffer_status
    $proxy_set_buffer_bytes
    $proxy_get_header_map_size
    $proxy_get_header_map_pairs
    $proxy_get_header_map_value
    $proxy_set_header_map_pairs
    $proxy_add_header_map_value
    $proxy_replace_header_map_value
    $proxy_remove_header_map_value
    $proxy_continue_stream
    $proxy_close_stream
    $proxy_send_local_response
    $proxy_http_call
    $proxy_grpc_call
    $proxy_grpc_stream
    $proxy_grpc_send
    $proxy_grpc_cancel
    $proxy_grpc_close
    $proxy_get_status
    $proxy_set_shared_data
    $proxy_get_shared_data
    $proxy_register_shared_queue
    $proxy_resolve_shared_queue
    $proxy_enqueue_shared_queue
    $proxy_dequeue_shared_queue
    $proxy_define_metric
    $proxy_record_metric
    $proxy_increment_metric
    $proxy_get_metric
    $proxy_get_property
    $proxy_set_property
    $proxy_call_foreign_function
    $proxy_get_configuration
    $proxy_continue_request
    $proxy_continue_response
    $proxy_clear_route_cache
    $pthread_equal
    $grown
  ))
  (func $grown (type $t1) (call $emscripten_notify_memory_growth (local.get 0)) (i32.const 0))

  ;; The call of one record: function, how it is typed (13: i32, i64), twelve arguments, the answer.
  (func $call (param $r i32)
    (local $answer i32)
    (block $done
    (block $is0
    (block $is1
    (block $is2
    (block $is3
    (block $is4
    (block $is5
    (block $is6
    (block $is8
    (block $is9
    (block $is10
    (block $is12
    (block $is_wide
      (br_table $is0 $is1 $is2 $is3 $is4 $is5 $is6 $done
        $is8 $is9 $is10 $done $is12 $is_wide $done
        (i32.load offset=4 (local.get $r)))
    )
      (local.set $answer (call_indirect (type $wide)
        (i32.load offset=8 (local.get $r)) (i64.load offset=12 align=4 (local.get $r))
        (i32.load (local.get $r))))
      (br $done)
    )
      (local.set $answer (call_indirect (type $t12)
        (i32.load offset=8 (local.get $r))
        (i32.load offset=12 (local.get $r))
        (i32.load offset=16 (local.get $r))
        (i32.load offset=20 (local.get $r))
        (i32.load offset=24 (local.get $r))
        (i32.load offset=28 (local.get $r))
        (i32.load offset=32 (local.get $r))
        (i32.load offset=36 (local.get $r))
        (i32.load offset=40 (local.get $r))
        (i32.load offset=44 (local.get $r))
        (i32.load offset=48 (local.get $r))
        (i32.load offset=52 (local.get $r))
        (i32.load (local.get $r))))
      (br $done)
    )
      (local.set $answer (call_indirect (type $t10)
        (i32.load offset=8 (local.get $r))
        (i32.load offset=12 (local.get $r))
        (i32.load offset=16 (local.get $r))
        (i32.load offset=20 (local.get $r))
        (i32.load offset=24 (local.get $r))
        (i32.load offset=28 (local.get $r))
        (i32.load offset=32 (local.get $r))
        (i32.load offset=36 (local.get $r))
        (i32.load offset=40 (local.get $r))
        (i32.load offset=44 (local.get $r))
        (i32.load (local.get $r))))
      (br $done)
    )
      (local.set $answer (call_indirect (type $t9)
        (i32.load offset=8 (local.get $r))
        (i32.load offset=12 (local.get $r))
        (i32.load offset=16 (local.get $r))
        (i32.load offset=20 (local.get $r))
        (i32.load offset=24 (local.get $r))
        (i32.load offset=28 (local.get $r))
        (i32.load offset=32 (local.get $r))
        (i32.load offset=36 (local.get $r))
        (i32.load offset=40 (local.get $r))
        (i32.load (local.get $r))))
      (br $done)
    )
      (local.set $answer (call_indirect (type $t8)
        (i32.load offset=8 (local.get $r))
        (i32.load offset=12 (local.get $r))
        (i32.load offset=16 (local.get $r))
        (i32.load offset=20 (local.get $r))
        (i32.load offset=24 (local.get $r))
        (i32.load offset=28 (local.get $r))
        (i32.load offset=32 (local.get $r))
        (i32.load offset=36 (local.get $r))
        (i32.load (local.get $r))))
      (br $done)
    )
      (local.set $answer (call_indirect (type $t6)
        (i32.load offset=8 (local.get $r))
        (i32.load offset=12 (local.get $r))
        (i32.load offset=16 (local.get $r))
        (i32.load offset=20 (local.get $r))
        (i32.load offset=24 (local.get $r))
        (i32.load offset=28 (local.get $r))
        (i32.load (local.get $r))))
      (br $done)
    )
      (local.set $answer (call_indirect (type $t5)
        (i32.load offset=8 (local.get $r))
        (i32.load offset=12 (local.get $r))
        (i32.load offset=16 (local.get $r))
        (i32.load offset=20 (local.get $r))
        (i32.load offset=24 (local.get $r))
        (i32.load (local.get $r))))
      (br $done)
    )
      (local.set $answer (call_indirect (type $t4)
        (i32.load offset=8 (local.get $r))
        (i32.load offset=12 (local.get $r))
        (i32.load offset=16 (local.get $r))
        (i32.load offset=20 (local.get $r))
        (i32.load (local.get $r))))
      (br $done)
    )
      (local.set $answer (call_indirect (type $t3)
        (i32.load offset=8 (local.get $r))
        (i32.load offset=12 (local.get $r))
        (i32.load offset=16 (local.get $r))
        (i32.load (local.get $r))))
      (br $done)
    )
      (local.set $answer (call_indirect (type $t2)
        (i32.load offset=8 (local.get $r))
        (i32.load offset=12 (local.get $r))
        (i32.load (local.get $r))))
      (br $done)
    )
      (local.set $answer (call_indirect (type $t1)
        (i32.load offset=8 (local.get $r))
        (i32.load (local.get $r))))
      (br $done)
    )
      (local.set $answer (call_indirect (type $t0)
        (i32.load (local.get $r))))
    )
    (i32.store offset=56 (local.get $r) (local.get $answer)))

  (func $run (result i32)
    (local $left i32) (local $r i32)
    (local.set $left (i32.load (i32.const 16)))
    (local.set $r (i32.const 1024))
    (loop $next
      (if (local.get $left) (then
        (call $call (local.get $r))
        (local.set $left (i32.sub (local.get $left) (i32.const 1)))
        (local.set $r (i32.add (local.get $r) (i32.const 64)))
        (br $next))))
    (i32.load (i32.const 20)))

  ;; As the word at 24 says: 0 gives more and more, 1 nothing, 2 what is not there, 3 traps, 4 grows
  ;; for each, 5 gives what the records lie in, 6 makes the calls itself, 7 never comes back.
  (func (export "proxy_on_memory_allocate") (param $size i32) (result i32)
    (local $mode i32) (local $at i32)
    (local.set $mode (i32.load (i32.const 24)))
    (if (i32.eq (local.get $mode) (i32.const 1)) (then (return (i32.const 0))))
    (if (i32.eq (local.get $mode) (i32.const 2)) (then (return (i32.const -8))))
    (if (i32.eq (local.get $mode) (i32.const 3)) (then (unreachable)))
    (if (i32.eq (local.get $mode) (i32.const 4)) (then
      (return (i32.shl (memory.grow (i32.const 1)) (i32.const 16)))))
    (if (i32.eq (local.get $mode) (i32.const 5)) (then (return (i32.const 1024))))
    (if (i32.eq (local.get $mode) (i32.const 6)) (then (drop (call $run))))
    (if (i32.eq (local.get $mode) (i32.const 7)) (then (loop $ever (br $ever))))
    (local.set $at (i32.load (i32.const 28)))
    (i32.store (i32.const 28) (i32.add (local.get $at) (local.get $size)))
    (local.get $at))

  (func (export "proxy_abi_version_0_2_1"))
  (func (export "proxy_on_vm_start") (param i32 i32) (result i32) (i32.const 1))
  (func (export "proxy_on_context_create") (param i32 i32) (drop (call $run)))
  (func (export "proxy_on_configure") (param i32 i32) (result i32)
    (drop (call $run)) (i32.const 1))
  (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32) (call $run))
  (func (export "proxy_on_request_body") (param i32 i32 i32) (result i32) (call $run))
  (func (export "proxy_on_request_trailers") (param i32 i32) (result i32) (call $run))
  (func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32) (call $run))
  (func (export "proxy_on_response_body") (param i32 i32 i32) (result i32) (call $run))
  (func (export "proxy_on_response_trailers") (param i32 i32) (result i32) (call $run))
  (func (export "proxy_on_http_call_response") (param i32 i32 i32 i32 i32) (drop (call $run)))
  (func (export "proxy_on_tick") (param i32) (drop (call $run)))
  (func (export "proxy_on_queue_ready") (param i32 i32) (drop (call $run)))
  (func (export "proxy_on_done") (param i32) (result i32) (call $run))
  (func (export "proxy_on_log") (param i32) (drop (call $run)))
  (func (export "proxy_on_delete") (param i32) (drop (call $run)))
)
