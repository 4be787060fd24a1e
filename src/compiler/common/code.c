/* The release of what a generator made. */
#include "compiler/common/code.h"

#include <stdlib.h>

void weir_code_done(struct weir_code *code)
{
    if (code == NULL)
        return;
    free(code->text);
    free(code->rodata);
    free(code->fixups);
    free(code->funcs);
    free(code->sites);
    *code = (struct weir_code){0};
}
