# Language, warnings, sanitizers and hardening, the same for every target of the tree.
# Warnings live in the interface target weir_warnings; everything else is global, because a
# sanitizer that sees half of the objects sees nothing.

set(CMAKE_C_STANDARD 17)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE RelWithDebInfo CACHE STRING "build type" FORCE)
endif()
set(CMAKE_C_FLAGS_DEBUG "-O1 -g")

# The layout of an installed tree: programs find libexec/weir beside their own bin.
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/bin")
set(WEIR_LIBEXEC_DIR "${CMAKE_BINARY_DIR}/libexec/weir")

find_program(WEIR_CCACHE ccache)
mark_as_advanced(WEIR_CCACHE)
if(WEIR_CCACHE AND NOT CMAKE_C_COMPILER_LAUNCHER)
  set(CMAKE_C_COMPILER_LAUNCHER "${WEIR_CCACHE}")
endif()

find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)

add_library(weir_warnings INTERFACE)
target_compile_options(
  weir_warnings
  INTERFACE $<$<COMPILE_LANGUAGE:C>:-Wall
            -Wextra
            -Wpedantic
            -Wshadow
            -Wconversion
            -Wvla
            -Wstrict-prototypes
            -Wmissing-prototypes
            -Wundef>)
if(WEIR_WERROR OR DEFINED ENV{CI})
  target_compile_options(weir_warnings INTERFACE $<$<COMPILE_LANGUAGE:C>:-Werror>)
endif()

# The whole of glibc's interface everywhere; a file need not ask for it.
add_compile_definitions($<$<COMPILE_LANGUAGE:C>:_GNU_SOURCE=>)
# Backtraces and profiles of the host walk frame pointers.
add_compile_options($<$<COMPILE_LANGUAGE:C>:-fno-omit-frame-pointer>)
add_compile_options($<$<COMPILE_LANGUAGE:C>:-fstack-protector-strong>)
add_link_options(-Wl,-z,relro,-z,now,-z,noexecstack)
if(NOT WEIR_SANITIZE AND NOT WEIR_FUZZ AND CMAKE_BUILD_TYPE MATCHES "Rel")
  add_compile_definitions($<$<COMPILE_LANGUAGE:C>:_FORTIFY_SOURCE=2>)
endif()

if(WEIR_FUZZ)
  if(NOT CMAKE_C_COMPILER_ID STREQUAL "Clang")
    message(FATAL_ERROR "WEIR_FUZZ needs clang (preset fuzz); the compiler is "
                        "${CMAKE_C_COMPILER}")
  endif()
  add_compile_options($<$<COMPILE_LANGUAGE:C>:-fsanitize=fuzzer-no-link>)
endif()
if(WEIR_SANITIZE)
  add_compile_options($<$<COMPILE_LANGUAGE:C>:-fsanitize=${WEIR_SANITIZE}>
                      $<$<COMPILE_LANGUAGE:C>:-fno-sanitize-recover=all>)
  add_link_options(-fsanitize=${WEIR_SANITIZE})
endif()
