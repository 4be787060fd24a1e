# weir_add_library and weir_add_program: the only two ways in which host code is built.

# weir_add_library(weir_x SOURCES a.c b.S ... [DEPENDS weir_y PkgConfig::z ...])
# A static library. Includes are written relative to src/ ("x/y.h") or <weir/y.h>.
function(weir_add_library name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;DEPENDS")
  if(arg_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "weir_add_library(${name}): unknown ${arg_UNPARSED_ARGUMENTS}")
  endif()
  add_library(${name} STATIC ${arg_SOURCES})
  target_include_directories(${name} PUBLIC "${CMAKE_SOURCE_DIR}/src"
                                            "${CMAKE_SOURCE_DIR}/include")
  target_link_libraries(${name} PUBLIC ${arg_DEPENDS} PRIVATE weir_warnings)
endfunction()

# weir_add_program(NAME SOURCES ... [DEPENDS ...] [LIBEXEC])
# An executable in <build>/bin, or in <build>/libexec/weir with LIBEXEC (helpers that `weir` or the
# library start: weir-compile and the git-style subcommands); installed to the same place.
function(weir_add_program name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "LIBEXEC" "" "SOURCES;DEPENDS")
  if(arg_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "weir_add_program(${name}): unknown ${arg_UNPARSED_ARGUMENTS}")
  endif()
  add_executable(${name} ${arg_SOURCES})
  target_include_directories(${name} PRIVATE "${CMAKE_SOURCE_DIR}/src"
                                             "${CMAKE_SOURCE_DIR}/include")
  target_link_libraries(${name} PRIVATE ${arg_DEPENDS} weir_warnings)
  if(arg_LIBEXEC)
    set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${WEIR_LIBEXEC_DIR}")
    install(TARGETS ${name} DESTINATION ${CMAKE_INSTALL_LIBEXECDIR}/weir)
  else()
    install(TARGETS ${name} DESTINATION ${CMAKE_INSTALL_BINDIR})
  endif()
endfunction()
