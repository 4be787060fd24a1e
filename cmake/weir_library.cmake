# libweir, shared and static: what an embedder links. One library of all the folders that include/
# declares functions of; the shared one exports those and nothing else, each with a version.
#
#   cc hello.c $(pkg-config --cflags --libs weir)
#   find_package(weir) target_link_libraries(hello weir::weir)     # or weir::static
include(CMakePackageConfigHelpers)

# weir_library_parts(RESULT a b): these libraries of the tree and all that they link.
function(weir_library_parts result)
  set(parts "")
  set(todo ${ARGN})
  while(todo)
    list(POP_FRONT todo part)
    if(TARGET ${part} AND part MATCHES "^weir_" AND NOT part IN_LIST parts)
      get_target_property(type ${part} TYPE)
      get_target_property(links ${part} LINK_LIBRARIES)
      if(type STREQUAL "STATIC_LIBRARY")
        list(APPEND parts ${part})
        list(APPEND todo ${links})
      endif()
    endif()
  endwhile()
  set(${result} ${parts} PARENT_SCOPE)
endfunction()

weir_library_parts(weir_library_parts weir_capi weir_cache weir_wasi)
set(weir_library_objects "")
foreach(part IN LISTS weir_library_parts)
  list(APPEND weir_library_objects $<TARGET_OBJECTS:${part}>)
endforeach()
pkg_check_modules(WEIR_LIBRARY_CRYPTO REQUIRED IMPORTED_TARGET libcrypto)

add_library(weir_static STATIC ${weir_library_objects})
add_library(weir_shared SHARED ${weir_library_objects})
set(weir_library_map "${CMAKE_BINARY_DIR}/libweir.map")
file(GLOB weir_library_headers CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/include/*.h"
     "${CMAKE_SOURCE_DIR}/include/weir/*.h")
add_custom_command(
  OUTPUT "${weir_library_map}"
  COMMAND "${CMAKE_SOURCE_DIR}/tools/public_symbols.py" --cc "${CMAKE_C_COMPILER}" --root
          "${CMAKE_SOURCE_DIR}" --map "${weir_library_map}"
  DEPENDS ${weir_library_headers} "${CMAKE_SOURCE_DIR}/tools/public_symbols.py"
  VERBATIM)
add_custom_target(weir_library_map_file DEPENDS "${weir_library_map}")
set_target_properties(
  weir_static weir_shared
  PROPERTIES OUTPUT_NAME weir
             LINKER_LANGUAGE C
             VERSION ${PROJECT_VERSION}
             SOVERSION ${PROJECT_VERSION_MAJOR}
             LINK_DEPENDS "${weir_library_map}"
             ARCHIVE_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/lib"
             LIBRARY_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/lib")
add_dependencies(weir_shared weir_library_map_file)
target_link_libraries(weir_shared PRIVATE PkgConfig::WEIR_LIBRARY_CRYPTO Threads::Threads m)
target_link_options(weir_shared PRIVATE "-Wl,--version-script=${weir_library_map}" -Wl,-z,text)
if(NOT WEIR_SANITIZE AND NOT WEIR_FUZZ)
  target_link_options(weir_shared PRIVATE -Wl,-z,defs)
endif()

# Both descriptions say where things are relative to themselves: a tree may be installed anywhere.
set(weir_cmake_dir "${CMAKE_INSTALL_LIBDIR}/cmake/weir")
file(RELATIVE_PATH weir_pc_prefix "/prefix/${CMAKE_INSTALL_LIBDIR}/pkgconfig" "/prefix")
configure_file("${CMAKE_SOURCE_DIR}/cmake/weir.pc.in" "${CMAKE_BINARY_DIR}/weir.pc" @ONLY)
configure_package_config_file(
  "${CMAKE_SOURCE_DIR}/cmake/weirConfig.cmake.in" "${CMAKE_BINARY_DIR}/weirConfig.cmake"
  INSTALL_DESTINATION "${weir_cmake_dir}"
  PATH_VARS CMAKE_INSTALL_INCLUDEDIR CMAKE_INSTALL_LIBDIR)
write_basic_package_version_file("${CMAKE_BINARY_DIR}/weirConfigVersion.cmake"
                                 COMPATIBILITY SameMinorVersion)

install(
  TARGETS weir_static weir_shared
  LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}" COMPONENT weir NAMELINK_COMPONENT weir
  ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}" COMPONENT weir)
install(FILES "${CMAKE_BINARY_DIR}/weir.pc" DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig"
        COMPONENT weir)
install(FILES "${CMAKE_BINARY_DIR}/weirConfig.cmake" "${CMAKE_BINARY_DIR}/weirConfigVersion.cmake"
        DESTINATION "${weir_cmake_dir}" COMPONENT weir)
