# Run with -P: turns the file INPUT into the C header OUTPUT with the bytes as array NAME.
file(READ "${INPUT}" hex HEX)
string(REGEX REPLACE "(................................)" "\\1\n    " hex "${hex}")
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1, " hex "${hex}")
string(REGEX REPLACE " \n" "\n" hex "${hex}")
file(WRITE "${OUTPUT}" "/* Made from ${INPUT} at build. */\n"
                       "static const unsigned char ${NAME}[] = {\n    ${hex}\n};\n")
