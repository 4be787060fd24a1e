/* Limits of `weir deploy`, each with its reason. */
#ifndef WEIR_CLI_DEPLOY_LIMITS_H
#define WEIR_CLI_DEPLOY_LIMITS_H

/* A large web site has some ten thousand files; each is a record of 88 bytes and its path. */
#define DEPLOY_FILES_MAX 200000u
/* All paths of a tree together: what bounds its memory beside the number of files. */
#define DEPLOY_PATHS_BYTES_MAX (UINT64_C(64) << 20)
/* Of one path, as in PATH_MAX of Linux. */
#define DEPLOY_PATH_BYTES_MAX 4095u
/* Folders within folders: each holds a descriptor open while it is walked. */
#define DEPLOY_DEPTH_MAX 64u
/* All files of a tree; --check copies so much. */
#define DEPLOY_TREE_BYTES_MAX (UINT64_C(64) << 30)
/* A manifest of DEPLOY_FILES_MAX files with paths of 100 bytes is half of it; jansson takes about
 * five times a file's size while it reads. */
#define DEPLOY_MANIFEST_BYTES_MAX (UINT64_C(64) << 20)
/* Files are read in pieces of this size. */
#define DEPLOY_STEP_BYTES 65536u
/* What is looked at on both sides of a difference to guess where it comes from, and shown of it. */
#define DEPLOY_LOOK_BYTES 64u
#define DEPLOY_SHOWN_BYTES 24u

#endif
