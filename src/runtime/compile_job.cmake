# Compile jobs and artifact directories: a library of their own, so that they can be used and
# tested without the rest of the runtime.
weir_add_library(
  weir_compile_job
  SOURCES artifact_dir.c
          artifact_prune.c
          artifact_version.c
          artifact_walk.c
          artifact_seal.c
          compile_job.c
          compile_spawner.c
          compile_wait.c
  DEPENDS weir_artifact weir_ledger weir_base)
target_compile_definitions(
  weir_compile_job
  PRIVATE WEIR_LIBEXEC_INSTALLED="${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_LIBEXECDIR}/weir")
