# Guests: WAT turned into bytes by wat2wasm, and C compiled for wasm32-wasi.

find_program(WEIR_WAT2WASM wat2wasm)
find_program(WEIR_GUEST_CC clang-14)
find_program(WEIR_GUEST_LD wasm-ld-14)
find_file(WEIR_GUEST_CRT wasm32-wasi/crt1.o PATHS /usr/lib NO_DEFAULT_PATH)
mark_as_advanced(WEIR_WAT2WASM WEIR_GUEST_CC WEIR_GUEST_LD WEIR_GUEST_CRT)
set(WEIR_GUEST_DIR "${CMAKE_BINARY_DIR}/guests")

# weir_embed(NAME INPUT): <current binary dir>/NAME.h with `static const unsigned char NAME[]`.
function(weir_embed name input)
  set(header "${CMAKE_CURRENT_BINARY_DIR}/${name}.h")
  add_custom_command(
    OUTPUT "${header}"
    COMMAND ${CMAKE_COMMAND} -DNAME=${name} -DINPUT=${input} -DOUTPUT=${header} -P
            "${CMAKE_SOURCE_DIR}/cmake/embed.cmake"
    DEPENDS "${input}" "${CMAKE_SOURCE_DIR}/cmake/embed.cmake"
    VERBATIM)
endfunction()

# weir_add_wat(NAME file.wat [FLAGS --enable-tail-call ...])
# Makes the library wat_NAME: a target that links to it can write `#include "NAME_wasm.h"` for the
# array NAME_wasm (its size is sizeof NAME_wasm). The file itself is <current binary
# dir>/NAME.wasm, and WEIR_WAT_DIR is that folder as a string for tests that want a path.
function(weir_add_wat name file)
  cmake_parse_arguments(PARSE_ARGV 2 arg "" "" "FLAGS")
  if(NOT WEIR_WAT2WASM)
    message(FATAL_ERROR "wat2wasm is missing (package wabt); run script/bootstrap")
  endif()
  cmake_path(ABSOLUTE_PATH file)
  set(wasm "${CMAKE_CURRENT_BINARY_DIR}/${name}.wasm")
  add_custom_command(
    OUTPUT "${wasm}"
    COMMAND "${WEIR_WAT2WASM}" --debug-names ${arg_FLAGS} "${file}" -o "${wasm}"
    DEPENDS "${file}"
    COMMENT "wat2wasm ${name}"
    VERBATIM)
  weir_embed(${name}_wasm "${wasm}")
  add_custom_target(wat_${name}_files DEPENDS "${CMAKE_CURRENT_BINARY_DIR}/${name}_wasm.h")
  add_library(wat_${name} INTERFACE)
  add_dependencies(wat_${name} wat_${name}_files)
  target_include_directories(wat_${name} INTERFACE "${CMAKE_CURRENT_BINARY_DIR}")
  target_compile_definitions(wat_${name} INTERFACE WEIR_WAT_DIR="${CMAKE_CURRENT_BINARY_DIR}")
endfunction()

# Why C guests cannot be built here; empty when they can.
set(WEIR_GUEST_MISSING "")
if(NOT WEIR_GUEST_CC)
  set(WEIR_GUEST_MISSING "clang-14 is missing")
elseif(NOT WEIR_GUEST_LD)
  set(WEIR_GUEST_MISSING "wasm-ld-14 is missing (package lld-14)")
elseif(NOT WEIR_GUEST_CRT)
  set(WEIR_GUEST_MISSING "wasm32-wasi/crt1.o is missing (package wasi-libc)")
elseif(NOT EXISTS "/usr/lib/llvm-14/lib/clang/14.0.6/lib/wasi")
  set(WEIR_GUEST_MISSING "compiler-rt for wasm32 is missing (package libclang-rt-14-dev-wasm32)")
endif()
if(WEIR_GUEST_MISSING)
  message(STATUS "C guests are skipped: ${WEIR_GUEST_MISSING}")
  if("$ENV{WEIR_REQUIRE_ALL}" STREQUAL "1")
    message(FATAL_ERROR "WEIR_REQUIRE_ALL=1, but ${WEIR_GUEST_MISSING}")
  endif()
endif()

# weir_add_guest(NAME a.c ... [FLAGS ...] [LINK ...] [DEPENDS ...])
# Makes <build>/guests/NAME.wasm from C (target guest_NAME, part of the default build). FLAGS go to
# the compiler (with its -D and -I), LINK to the linker. A generated header the guest needs is
# named in DEPENDS. Without a toolchain nothing is made and WEIR_GUEST_MISSING says why; tests over
# guests then end with weir_skip_test().
function(weir_add_guest name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "FLAGS;LINK;DEPENDS")
  if(WEIR_GUEST_MISSING)
    return()
  endif()
  set(objects "")
  foreach(source IN LISTS arg_UNPARSED_ARGUMENTS)
    cmake_path(ABSOLUTE_PATH source OUTPUT_VARIABLE path)
    cmake_path(GET source FILENAME stem)
    set(object "${CMAKE_CURRENT_BINARY_DIR}/guest_${name}/${stem}.o")
    add_custom_command(
      OUTPUT "${object}"
      COMMAND ${CMAKE_C_COMPILER_LAUNCHER} "${WEIR_GUEST_CC}" --target=wasm32-wasi -std=gnu17 -O2
              -Wall -Wextra ${arg_FLAGS} -MD -MF "${object}.d" -c "${path}" -o "${object}"
      DEPENDS "${path}" ${arg_DEPENDS}
      DEPFILE "${object}.d"
      COMMENT "guest ${name}: ${stem}"
      VERBATIM)
    file(MAKE_DIRECTORY "${CMAKE_CURRENT_BINARY_DIR}/guest_${name}")
    list(APPEND objects "${object}")
  endforeach()
  file(MAKE_DIRECTORY "${WEIR_GUEST_DIR}")
  add_custom_command(
    OUTPUT "${WEIR_GUEST_DIR}/${name}.wasm"
    COMMAND "${WEIR_GUEST_CC}" --target=wasm32-wasi ${objects} ${arg_LINK} -o
            "${WEIR_GUEST_DIR}/${name}.wasm"
    DEPENDS ${objects}
    COMMENT "guest ${name}: link"
    VERBATIM)
  add_custom_target(guest_${name} ALL DEPENDS "${WEIR_GUEST_DIR}/${name}.wasm")
endfunction()
