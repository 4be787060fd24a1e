/* The ledger's own limits, each with its reason. */
#ifndef WEIR_LEDGER_LIMITS_H
#define WEIR_LEDGER_LIMITS_H

/* host, tenant, store, instance, and room for tenants of tenants. Every charge that leaves a
 * store's credit walks this far. */
#define WEIR__DEPTH_MAX 8

/* No account grants more than this, whatever its limit says: sums of figures below it cannot
 * overflow, and the top bit of an account's holds is free. */
#define WEIR__BYTES_MAX (UINT64_C(1) << 62)

/* What a store takes from its parent at a time beyond what it asked for, and what it keeps at most
 * when it discharges. A guest's handles and small buffers live inside one slab; a host buffer of
 * 64 KiB that comes and goes does not touch the parent either. Idle credit of 10,000 stores is at
 * most 640 MiB and is drained before anything is refused. */
#define WEIR__SLAB_BYTES (16u << 10)
#define WEIR__KEEP_BYTES (64u << 10)
/* Near a limit slabs shrink: never more than this share of what is left. */
#define WEIR__SLAB_SHARE 16

/* Cells of shared accounts: for so many threads at a time, of so many accounts (each block is 6 KiB
 * of the program's data), once an account was charged so often. An account that is charged a
 * thousand times as a matter of course is one that threads may meet on; host, engine, cache, server
 * and a dozen tenants are. A cell keeps less than a store, since there can be more of them without
 * anybody's asking: idle credit of one account is at most 1 MiB. */
#define WEIR__CELL_THREADS 32
#define WEIR__CELL_KEEP_BYTES (32u << 10)
#define WEIR__CELL_BLOCKS 16
#define WEIR__CELL_CHARGES 1024

/* How long a drain waits for a store that is in the middle of a charge (5 ns when it runs). A
 * store that was preempted there is not idle, and is passed over. */
#define WEIR__DRAIN_SPINS 2000

/* The composition of the peak is taken afresh for every new peak while there are few accounts;
 * above that only when the peak is higher by this share (0.4 %), which bounds the walks. */
#define WEIR__PEAK_ACCOUNTS 64
#define WEIR__PEAK_SHARE 256

/* Of vm.max_map_count an eighth is left to what we do not register: libraries, malloc, stacks of
 * threads that are not ours. Of RLIMIT_NOFILE 64, or a quarter of a small one, for libraries. */
#define WEIR__MAPPINGS_RESERVE_SHARE 8
#define WEIR__MAX_MAP_COUNT_DEFAULT 65530
#define WEIR__DESCRIPTORS_RESERVE 64
#define WEIR__DESCRIPTORS_RESERVE_SHARE 4

/* Equation (b): processes of a cgroup whose memory is summed. A container has a few; the slice of
 * a whole machine is not what anyone wants to walk for a page of metrics. */
#define WEIR__CGROUP_PROCESSES_MAX 512
/* Pages that each CPU may have charged ahead (MEMCG_CHARGE_BATCH of the kernel). */
#define WEIR__CGROUP_STOCK_PAGES 64

/* A reading that took a second is not taken again for 100. */
#define WEIR__CGROUP_READ_SHARE 100

/* Folders that register a reclaimer. */
#define WEIR__RECLAIMERS_MAX 32

#endif
