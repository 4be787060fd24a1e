# Two packages from one tree: weir-tools (`weir` itself and the tools: no engine)
# and weir (the host, its compiler, headers). `cpack -G DEB` in a build folder makes both;
# `cmake --install BUILD --component weir-tools` installs one.

# Programs and man pages of weir-tools; everything else is weir's.
set(WEIR_TOOLS weir weir-plan weir-guard weir-doctor weir-deploy weir-top weir-inspect)

# weir_component(weir-plan.1 RESULT): the package of a program or of a man page.
function(weir_component name result)
  string(REGEX REPLACE "\\.[0-9]$" "" stem "${name}")
  set(component weir)
  if(stem IN_LIST WEIR_TOOLS)
    set(component weir-tools)
  endif()
  set(${result} ${component} PARENT_SCOPE)
endfunction()

set(CPACK_PACKAGE_NAME weir)
set(CPACK_PACKAGE_VENDOR "Weir")
set(CPACK_PACKAGE_CONTACT "Weir <weir@localhost>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "WebAssembly host that accounts for every byte")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_VERBATIM_VARIABLES ON)
set(CPACK_COMPONENTS_ALL weir-tools weir)
set(CPACK_COMPONENTS_GROUPING IGNORE)
set(CPACK_GENERATOR DEB)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_SECTION admin)
set(CPACK_DEBIAN_WEIR-TOOLS_PACKAGE_NAME weir-tools)
set(CPACK_DEBIAN_WEIR_PACKAGE_NAME weir)
set(CPACK_DEBIAN_WEIR-TOOLS_DESCRIPTION
    "plan, guard and explain the memory of processes that run WebAssembly
weir plan, weir guard, weir doctor, weir top and weir inspect, for any node or gateway;
without an engine.")
set(CPACK_DEBIAN_WEIR_DESCRIPTION
    "WebAssembly host that accounts for every byte
weir run, weir serve and weir compile, the compiler, and the C headers.")
# The dispatcher is in weir-tools.
set(CPACK_DEBIAN_WEIR_PACKAGE_DEPENDS "weir-tools (= ${PROJECT_VERSION})")
include(CPack)
