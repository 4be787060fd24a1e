# Run with -P: hashes the files named in LIST (one path per line, relative to ROOT) into the C file
# OUTPUT. Names count too, so that moving code from one file to another changes the identity.
file(STRINGS "${LIST}" files)
set(all "")
foreach(file IN LISTS files)
  file(SHA256 "${ROOT}/${file}" hash)
  string(APPEND all "${file} ${hash}\n")
endforeach()
string(SHA256 id "${all}")
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1, " bytes "${id}")
set(text "/* Made from the sources at build. */\n#include \"artifact/build_id.h\"\n
const uint8_t weir_build_id[32] = {${bytes}};\n")
file(WRITE "${OUTPUT}" "${text}")
