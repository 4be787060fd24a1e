# weir_add_library and weir_add_program: the only two ways in which host code is built.

# Takes from the list variable what does not exist yet, with a warning: a folder in the making must
# not keep the others from being built. An error under CI.
function(weir_drop_missing list target)
  foreach(source IN LISTS ${list})
    cmake_path(ABSOLUTE_PATH source OUTPUT_VARIABLE path)
    get_source_file_property(is_generated "${path}" GENERATED)
    if(EXISTS "${path}" OR is_generated OR source MATCHES "^\\$")
      continue()
    endif()
    if(DEFINED ENV{CI})
      message(FATAL_ERROR "${target}: ${path} does not exist")
    endif()
    message(WARNING "${target}: ${path} does not exist")
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${path}")
    list(REMOVE_ITEM ${list} "${source}")
  endforeach()
  set(${list} "${${list}}" PARENT_SCOPE)
endfunction()

# weir_add_library(weir_x SOURCES a.c b.S ... [DEPENDS weir_y PkgConfig::z ...])
# A static library. Includes are written relative to src/ ("x/y.h") or <weir/y.h>.
function(weir_add_library name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;DEPENDS")
  if(arg_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "weir_add_library(${name}): unknown ${arg_UNPARSED_ARGUMENTS}")
  endif()
  weir_drop_missing(arg_SOURCES ${name})
  if(NOT arg_SOURCES)
    return()
  endif()
  add_library(${name} STATIC ${arg_SOURCES})
  target_include_directories(${name} PUBLIC "${CMAKE_SOURCE_DIR}/src"
                                            "${CMAKE_SOURCE_DIR}/include")
  target_link_libraries(${name} PUBLIC ${arg_DEPENDS} PRIVATE weir_warnings)
endfunction()

# weir_add_program(NAME SOURCES ... [DEPENDS ...] [LIBEXEC])
# An executable in <build>/bin, or in <build>/libexec/weir with LIBEXEC (helpers that `weir` or the
# library start: weir-compile and the git-style subcommands); installed to the same place, as a
# part of the package that weir_package.cmake names.
function(weir_add_program name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "LIBEXEC" "" "SOURCES;DEPENDS")
  if(arg_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "weir_add_program(${name}): unknown ${arg_UNPARSED_ARGUMENTS}")
  endif()
  weir_drop_missing(arg_SOURCES ${name})
  if(NOT arg_SOURCES)
    return()
  endif()
  add_executable(${name} ${arg_SOURCES})
  target_include_directories(${name} PRIVATE "${CMAKE_SOURCE_DIR}/src"
                                             "${CMAKE_SOURCE_DIR}/include")
  target_link_libraries(${name} PRIVATE ${arg_DEPENDS} weir_warnings)
  weir_component(${name} component)
  if(arg_LIBEXEC)
    set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${WEIR_LIBEXEC_DIR}")
    install(TARGETS ${name} DESTINATION ${CMAKE_INSTALL_LIBEXECDIR}/weir COMPONENT ${component})
  else()
    install(TARGETS ${name} DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT ${component})
  endif()
endfunction()
