# Tests. Labels: `fast` (seconds), `slow` (the rest of script/test), `bench` (figures, on request).
#
# A test that cannot run here prints `skip: reason` and exits with 77; script/test lists the
# reasons. With WEIR_REQUIRE_ALL=1 in the environment it must fail instead.

if(WEIR_TESTS)
  pkg_check_modules(CHECK REQUIRED IMPORTED_TARGET check)
endif()
set(WEIR_SKIP_CODE 77)
set(WEIR_TEST_ENVIRONMENT
    "ASAN_OPTIONS=detect_stack_use_after_return=0"
    "UBSAN_OPTIONS=print_stacktrace=1"
    "TSAN_OPTIONS=halt_on_error=1"
    "WEIR_LIBEXEC=${WEIR_LIBEXEC_DIR}")

# weir_test_properties(NAME [LABELS slow] [TIMEOUT seconds] [SERIAL]): what every test of the tree
# gets. SERIAL: runs alone, because it measures. A second label `threads` adds the test to the run
# under ThreadSanitizer.
# The limit ends what hangs, nothing else: it holds on a machine that is twenty times slower for us.
# Cases of check have limits of their own, see tests/hang_limit.c.
function(weir_test_properties name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "SERIAL" "TIMEOUT" "LABELS")
  if(NOT arg_LABELS)
    set(arg_LABELS fast)
  endif()
  if(NOT arg_TIMEOUT OR arg_TIMEOUT LESS 1200)
    set(arg_TIMEOUT 1200)
  endif()
  set_tests_properties(
    ${name}
    PROPERTIES LABELS "${arg_LABELS}"
               TIMEOUT ${arg_TIMEOUT}
               RUN_SERIAL ${arg_SERIAL}
               SKIP_RETURN_CODE ${WEIR_SKIP_CODE}
               ENVIRONMENT "${WEIR_TEST_ENVIRONMENT}")
endfunction()

# weir_skip_test(NAME "reason"): a test that only says why it is not run (see above).
function(weir_skip_test name reason)
  add_test(NAME ${name} COMMAND "${CMAKE_SOURCE_DIR}/cmake/skip" "${reason}")
  weir_test_properties(${name})
endfunction()

# weir_add_check_test(NAME SOURCES test_x.c ... [LIBS weir_x wat_y ...] [LABELS slow]
#                     [TIMEOUT seconds] [SERIAL] [ARGS ...])
# One executable over libcheck, run as one CTest of the same name.
function(weir_add_check_test name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "SERIAL" "TIMEOUT" "SOURCES;LIBS;LABELS;ARGS")
  set(serial "")
  if(arg_SERIAL)
    set(serial SERIAL)
  endif()
  if(arg_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "weir_add_check_test(${name}): unknown ${arg_UNPARSED_ARGUMENTS}")
  endif()
  weir_drop_missing(arg_SOURCES ${name})
  if(NOT arg_SOURCES)
    return()
  endif()
  add_executable(${name} ${arg_SOURCES})
  target_include_directories(${name} PRIVATE "${CMAKE_SOURCE_DIR}/src"
                                             "${CMAKE_SOURCE_DIR}/include" "${CMAKE_SOURCE_DIR}")
  target_link_libraries(${name} PRIVATE ${arg_LIBS} weir_hang_limit PkgConfig::CHECK
                                        weir_warnings)
  # ck_assert_msg(x, "text") has no further argument, and clang minds.
  target_compile_options(${name} PRIVATE
                         $<$<C_COMPILER_ID:Clang>:-Wno-gnu-zero-variadic-macro-arguments>)
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/tests")
  add_test(NAME ${name} COMMAND ${name} ${arg_ARGS})
  weir_test_properties(${name} LABELS ${arg_LABELS} TIMEOUT ${arg_TIMEOUT} ${serial})
endfunction()

# weir_add_fuzz(NAME SOURCES fuzz_x.c ... [LIBS ...])
# In the fuzz preset a libFuzzer program fuzz_NAME; otherwise the same driver over
# fuzz/replay_main.c, which runs every file of fuzz/corpus/NAME as the test fuzz_NAME.
function(weir_add_fuzz name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;LIBS")
  set(target fuzz_${name})
  set(corpus "${CMAKE_SOURCE_DIR}/fuzz/corpus/${name}")
  if(WEIR_FUZZ)
    add_executable(${target} ${arg_SOURCES})
    target_link_options(${target} PRIVATE -fsanitize=fuzzer)
  else()
    add_executable(${target} ${arg_SOURCES} "${CMAKE_SOURCE_DIR}/fuzz/replay_main.c")
    add_test(NAME ${target} COMMAND ${target} "${corpus}")
    weir_test_properties(${target})
  endif()
  target_include_directories(${target} PRIVATE "${CMAKE_SOURCE_DIR}/src"
                                               "${CMAKE_SOURCE_DIR}/include")
  target_link_libraries(${target} PRIVATE ${arg_LIBS} weir_warnings)
  set_target_properties(${target} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/fuzz")
endfunction()
