/* The protocol of cells.h: every interleaving of a small model of it. A thread charges and
 * discharges from its cell, another stops and restarts the cells. Each has a store buffer, as x86
 * has: plain stores reach memory later, in order; locked instructions empty it first. With a step
 * of the protocol left out the model must go wrong. */
#include <check.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum word { BUSY, SLOW, CREDIT, HELD, WORDS };
enum { OWNER, STOPPER };
enum { BUFFER_MAX = 4, CREDIT_AT_FIRST = 2, KEPT_MAX = 1, OPERATIONS = 4, STOPS = 2 };
enum { SEEN_MAX = 1 << 16 };

struct store {
    uint8_t word, value;
};

struct buffer {
    struct store stores[BUFFER_MAX]; /* zeroed behind `count` */
    uint8_t count;
};

/* One state; bytes only, compared as such. */
struct world {
    uint8_t memory[WORDS];
    uint8_t account_held, granted; /* written by locked instructions */
    struct buffer buffers[2];
    uint8_t at[2];        /* next step of owner and stopper */
    uint8_t credit, held; /* the owner's registers */
    uint8_t taken;        /* the stopper's: credit */
    uint8_t owned;        /* charged from the cell and not given back, as the owner knows */
    uint8_t operations, stops;
};

/* The protocol with a step left out. */
static const struct form {
    bool has_barrier, waits, is_sound;
} forms[] = {
    {true, true, true},
    {false, true, false},
    {true, false, false},
};

static struct world seen[SEEN_MAX];
static bool is_seen[SEEN_MAX];
static struct world open_worlds[SEEN_MAX];
static size_t open_count, seen_count;

static uint8_t get(const struct world *world, int who, enum word word)
{
    const struct buffer *buffer = &world->buffers[who];
    for (int i = buffer->count - 1; i >= 0; i--)
        if (buffer->stores[i].word == word)
            return buffer->stores[i].value;
    return world->memory[word];
}

static void flush_one(struct world *world, int who)
{
    struct buffer *buffer = &world->buffers[who];
    world->memory[buffer->stores[0].word] = buffer->stores[0].value;
    memmove(buffer->stores, buffer->stores + 1, sizeof buffer->stores - sizeof buffer->stores[0]);
    memset(&buffer->stores[BUFFER_MAX - 1], 0, sizeof buffer->stores[0]);
    buffer->count--;
}

/* A full buffer makes room first. */
static void put(struct world *world, int who, enum word word, unsigned value)
{
    struct buffer *buffer = &world->buffers[who];
    if (buffer->count == BUFFER_MAX)
        flush_one(world, who);
    buffer->stores[buffer->count].word = (uint8_t)word;
    buffer->stores[buffer->count++].value = (uint8_t)value;
}

static void flush(struct world *world, int who)
{
    while (world->buffers[who].count != 0)
        flush_one(world, who);
}

static bool is_charge(const struct world *world)
{
    return world->operations % 2 == 0;
}

/* A charge or a discharge of one, from section to section. What the cell does not serve goes to
 * the account, which is not what is modelled: it is left out. */
static void step_owner(struct world *world)
{
    uint8_t *at = &world->at[OWNER];
    switch (*at) {
    case 0:
        put(world, OWNER, BUSY, 1);
        *at = 1;
        return;
    case 1:
        *at = get(world, OWNER, SLOW) == 0 ? 2 : 6;
        return;
    case 2:
        world->credit = get(world, OWNER, CREDIT);
        *at = 3;
        return;
    case 3:
        world->held = get(world, OWNER, HELD);
        *at = world->held == 0 && !is_charge(world) ? 6 : 4;
        if (world->credit == 0 && is_charge(world)) { /* a refill of two: locked */
            flush(world, OWNER);
            world->granted = (uint8_t)(world->granted + 2);
            world->credit = 2;
        }
        return;
    case 4:
        world->held = (uint8_t)(is_charge(world) ? world->held + 1 : world->held - 1);
        world->credit = (uint8_t)(is_charge(world) ? world->credit - 1 : world->credit + 1);
        world->owned = (uint8_t)(is_charge(world) ? world->owned + 1 : world->owned - 1);
        if (world->credit > KEPT_MAX && !is_charge(world)) { /* locked */
            flush(world, OWNER);
            world->granted = (uint8_t)(world->granted - (world->credit - KEPT_MAX));
            world->credit = KEPT_MAX;
        }
        put(world, OWNER, CREDIT, world->credit);
        *at = 5;
        return;
    case 5:
        put(world, OWNER, HELD, world->held);
        *at = 6;
        return;
    default:
        put(world, OWNER, BUSY, 0);
        world->credit = world->held = 0;
        world->operations++;
        *at = 0;
    }
}

/* False: it waits. */
static bool step_stopper(struct world *world, const struct form *form)
{
    uint8_t *at = &world->at[STOPPER];
    switch (*at) {
    case 0:
        put(world, STOPPER, SLOW, 1);
        break;
    case 1:
        flush(world, STOPPER);
        if (form->has_barrier)
            flush(world, OWNER);
        break;
    case 2:
        if (form->waits && get(world, STOPPER, BUSY) != 0)
            return false;
        break;
    case 3: {
        uint8_t held = get(world, STOPPER, HELD);
        put(world, STOPPER, HELD, 0);
        flush(world, STOPPER);
        world->account_held = (uint8_t)(world->account_held + held);
        break;
    }
    case 4:
        world->taken = get(world, STOPPER, CREDIT);
        put(world, STOPPER, CREDIT, 0);
        break;
    case 5:
        flush(world, STOPPER);
        world->granted = (uint8_t)(world->granted - world->taken);
        world->taken = 0;
        break;
    default:
        put(world, STOPPER, SLOW, 0);
        world->stops++;
        *at = 0;
        return true;
    }
    ++*at;
    return true;
}

/* --- all of it ----------------------------------------------------------------------------- */

static void visit(const struct world *world)
{
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < sizeof *world; i++)
        hash = (hash ^ ((const uint8_t *)world)[i]) * 16777619u;
    size_t slot = (hash ^ hash >> 15) % SEEN_MAX;
    for (; is_seen[slot]; slot = (slot + 1) % SEEN_MAX)
        if (memcmp(&seen[slot], world, sizeof *world) == 0)
            return;
    ck_assert_uint_lt(seen_count + 1, SEEN_MAX);
    seen_count++;
    is_seen[slot] = true;
    seen[slot] = *world;
    open_worlds[open_count++] = *world;
}

static bool is_at_rest(const struct world *world)
{
    return world->at[OWNER] == 0 && world->at[STOPPER] == 0 && world->buffers[OWNER].count == 0 &&
           world->buffers[STOPPER].count == 0;
}

/* Nothing lost, nothing doubled. */
static bool is_right(const struct world *world)
{
    unsigned held = world->account_held + world->memory[HELD];
    return held == world->owned && world->granted == held + world->memory[CREDIT];
}

static bool explore(const struct form *form)
{
    struct world first;
    memset(&first, 0, sizeof first);
    first.memory[CREDIT] = first.granted = CREDIT_AT_FIRST;
    bool is_sound = true;
    size_t rests = 0;
    visit(&first);
    while (open_count != 0) {
        const struct world world = open_worlds[--open_count];
        struct world next;
        if (is_at_rest(&world)) {
            rests++;
            is_sound &= is_right(&world);
        }
        for (int who = 0; who < 2; who++)
            if (world.buffers[who].count != 0) {
                next = world;
                flush_one(&next, who);
                visit(&next);
            }
        next = world;
        if (world.at[OWNER] != 0 || world.operations < OPERATIONS) {
            step_owner(&next);
            visit(&next);
        }
        next = world;
        if ((world.at[STOPPER] != 0 || world.stops < STOPS) && step_stopper(&next, form))
            visit(&next);
    }
    ck_assert_uint_gt(rests, OPERATIONS);
    return is_sound;
}

START_TEST(nothing_is_lost_unless_a_step_is_left_out)
{
    ck_assert_int_eq(explore(&forms[_i]), forms[_i].is_sound);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cells_model");
    TCase *tests = tcase_create("cells_model");
    tcase_add_loop_test(tests, nothing_is_lost_unless_a_step_is_left_out, 0,
                        (int)(sizeof forms / sizeof forms[0]));
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
