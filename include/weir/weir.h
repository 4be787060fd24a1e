/* Weir's embedding API in one include, for C11 and C++11 and what came after them. Start with
 * engine.h, then module.h, linker.h, store.h, instance.h and extern.h. */
#ifndef WEIR_WEIR_H
#define WEIR_WEIR_H

#include <weir/account.h>
#include <weir/cache.h>
#include <weir/census.h>
#include <weir/engine.h>
#include <weir/error.h>
#include <weir/event.h>
#include <weir/extern.h>
#include <weir/handle.h>
#include <weir/image.h>
#include <weir/instance.h>
#include <weir/linker.h>
#include <weir/module.h>
#include <weir/pool.h>
#include <weir/receipt.h>
#include <weir/recycle.h>
#include <weir/stable.h>
#include <weir/store.h>
#include <weir/task.h>
#include <weir/trap.h>
#include <weir/value.h>
#include <weir/wasi.h>

#endif
