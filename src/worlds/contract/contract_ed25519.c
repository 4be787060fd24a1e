/* Ed25519 by the rule of ZIP-215, which is what CosmWasm's chains agree on. Libraries follow RFC
 * 8032 without the cofactor and refuse signatures that such chains accept, so the equation is
 * checked here; SHA-512 is OpenSSL's. Everything is public: nothing is constant in time.
 *
 * Field elements are five limbs of 51 bits (Bernstein and others, 2011); after a multiplication a
 * limb is below 2^52, and sums and differences of two such are taken as factors without a carry.
 * Points are extended coordinates X:Y:Z:T with the unified addition, complete on this curve (Hisil
 * and others, 2008), so that no point is special.
 */
#include "base/bytes.h"
#include "worlds/contract/contract_crypto.h"

#include <openssl/bn.h>
#include <openssl/evp.h>

#define MASK ((UINT64_C(1) << 51) - 1)
#define SHA512_BYTES 64u

__extension__ typedef unsigned __int128 wide;

struct field {
    uint64_t limb[5];
};

struct point {
    struct field x, y, z, t;
};

static const struct field ZERO;
static const struct field ONE = {{1}};
/* d = -121665/121666, 2d, and a square root of -1. */
static const struct field D = {
    {0x34dca135978a3, 0x1a8283b156ebd, 0x5e7a26001c029, 0x739c663a03cbb, 0x52036cee2b6ff}};
static const struct field D2 = {
    {0x69b9426b2f159, 0x35050762add7a, 0x3cf44c0038052, 0x6738cc7407977, 0x2406d9dc56dff}};
static const struct field ROOT = {
    {0x61b274a0ea0b0, 0xd5a5fc8f189d, 0x7ef5e9cbd0c60, 0x78595a6804c9e, 0x2b8324804fc1d}};

/* The base point: y = 4/5, x even. */
static const struct point BASE = {
    {{0x62d608f25d51a, 0x412a4b4f6592a, 0x75b7171a4b31d, 0x1ff60527118fe, 0x216936d3cd6e5}},
    {{0x6666666666658, 0x4cccccccccccc, 0x1999999999999, 0x3333333333333, 0x6666666666666}},
    {{1}},
    {{0x68ab3a5b7dda3, 0xeea2a5eadbb, 0x2af8df483c27e, 0x332b375274732, 0x67875f0fd78b7}}};

/* 2^255 = 19: what is carried out of the top comes back times 19. */
static inline struct field carry(const wide sums[5])
{
    wide at = sums[0];
    struct field out;
    out.limb[0] = (uint64_t)at & MASK;
    for (int i = 1; i < 5; i++) {
        at = sums[i] + (at >> 51);
        out.limb[i] = (uint64_t)at & MASK;
    }
    at = out.limb[0] + (at >> 51) * 19;
    out.limb[0] = (uint64_t)at & MASK;
    out.limb[1] += (uint64_t)(at >> 51);
    return out;
}

static struct field add(struct field a, struct field b)
{
    for (int i = 0; i < 5; i++)
        a.limb[i] += b.limb[i];
    return a;
}

/* a - b + 4p, so that no limb is negative. */
static struct field sub(struct field a, struct field b)
{
    a.limb[0] += 4 * (MASK - 18) - b.limb[0];
    for (int i = 1; i < 5; i++)
        a.limb[i] += 4 * MASK - b.limb[i];
    return a;
}

static struct field mul(struct field a, struct field b)
{
    const uint64_t *x = a.limb, *y = b.limb;
    const uint64_t y1 = 19 * y[1], y2 = 19 * y[2], y3 = 19 * y[3], y4 = 19 * y[4];
    const wide sums[5] = {
        (wide)x[0] * y[0] + (wide)x[1] * y4 + (wide)x[2] * y3 + (wide)x[3] * y2 + (wide)x[4] * y1,
        (wide)x[0] * y[1] + (wide)x[1] * y[0] + (wide)x[2] * y4 + (wide)x[3] * y3 + (wide)x[4] * y2,
        (wide)x[0] * y[2] + (wide)x[1] * y[1] + (wide)x[2] * y[0] + (wide)x[3] * y4 +
            (wide)x[4] * y3,
        (wide)x[0] * y[3] + (wide)x[1] * y[2] + (wide)x[2] * y[1] + (wide)x[3] * y[0] +
            (wide)x[4] * y4,
        (wide)x[0] * y[4] + (wide)x[1] * y[3] + (wide)x[2] * y[2] + (wide)x[3] * y[1] +
            (wide)x[4] * y[0],
    };
    return carry(sums);
}

static struct field square_times(struct field a, unsigned times)
{
    while (times-- > 0)
        a = mul(a, a);
    return a;
}

/* a^(2^250 - 1) by the usual chain, then a^(2^252 - 3): the power that roots need. */
static struct field power_root(struct field a)
{
    struct field a2 = mul(a, a);
    struct field a9 = mul(square_times(a2, 2), a);
    struct field a11 = mul(a9, a2);
    struct field n5 = mul(mul(a11, a11), a9);
    struct field n10 = mul(square_times(n5, 5), n5);
    struct field n20 = mul(square_times(n10, 10), n10);
    struct field n40 = mul(square_times(n20, 20), n20);
    struct field n50 = mul(square_times(n40, 10), n10);
    struct field n100 = mul(square_times(n50, 50), n50);
    struct field n200 = mul(square_times(n100, 100), n100);
    struct field n250 = mul(square_times(n200, 50), n50);
    return mul(square_times(n250, 2), a);
}

/* The one representation below p, little endian. */
static void write(struct field a, uint8_t bytes[32])
{
    wide sums[5];
    for (int i = 0; i < 5; i++)
        sums[i] = a.limb[i];
    a = carry(sums);
    for (int i = 0; i < 5; i++)
        sums[i] = a.limb[i];
    a = carry(sums); /* below 2^255 */
    uint64_t over = (a.limb[0] + 19) >> 51;
    for (int i = 1; i < 5; i++)
        over = (a.limb[i] + over) >> 51;
    a.limb[0] += 19 * over;
    for (int i = 0; i < 4; i++) {
        a.limb[i + 1] += a.limb[i] >> 51;
        a.limb[i] &= MASK;
    }
    a.limb[4] &= MASK;
    weir_store_u64(bytes, a.limb[0] | a.limb[1] << 51);
    weir_store_u64(bytes + 8, a.limb[1] >> 13 | a.limb[2] << 38);
    weir_store_u64(bytes + 16, a.limb[2] >> 26 | a.limb[3] << 25);
    weir_store_u64(bytes + 24, a.limb[3] >> 39 | a.limb[4] << 12);
}

/* 255 bits, not reduced: an encoding of p or above is taken for what it is modulo p. */
static struct field read(const uint8_t bytes[32])
{
    uint64_t w0 = weir_load_u64(bytes), w1 = weir_load_u64(bytes + 8);
    uint64_t w2 = weir_load_u64(bytes + 16), w3 = weir_load_u64(bytes + 24);
    return (struct field){{w0 & MASK, (w0 >> 51 | w1 << 13) & MASK, (w1 >> 38 | w2 << 26) & MASK,
                           (w2 >> 25 | w3 << 39) & MASK, w3 >> 12 & MASK}};
}

static bool is_zero(struct field a)
{
    static const uint8_t zero[32];
    uint8_t bytes[32];
    write(a, bytes);
    return memcmp(bytes, zero, sizeof bytes) == 0;
}

static bool is_odd(struct field a)
{
    uint8_t bytes[32];
    write(a, bytes);
    return (bytes[0] & 1) != 0;
}

/* x = sqrt((y^2 - 1) / (d y^2 + 1)), its sign in the top bit. "Negative zero" is zero. */
static bool decode(const uint8_t bytes[32], struct point *ret_point)
{
    struct field y = read(bytes);
    struct field y2 = mul(y, y);
    struct field u = mul(sub(y2, ONE), ONE), v = add(mul(D, y2), ONE);
    struct field v3 = mul(mul(v, v), v);
    struct field x = mul(mul(u, v3), power_root(mul(u, mul(mul(v3, v3), v))));
    struct field check = mul(v, mul(x, x));
    if (!is_zero(sub(check, u))) {
        if (!is_zero(add(check, u)))
            return false;
        x = mul(x, ROOT);
    }
    if (is_odd(x) != (bytes[31] >> 7 != 0))
        x = mul(sub(ZERO, x), ONE);
    *ret_point = (struct point){x, y, ONE, mul(x, y)};
    return true;
}

static struct point point_add(const struct point *p, const struct point *q)
{
    struct field a = mul(sub(p->y, p->x), sub(q->y, q->x));
    struct field b = mul(add(p->y, p->x), add(q->y, q->x));
    struct field c = mul(mul(p->t, D2), q->t);
    struct field d = mul(add(p->z, p->z), q->z);
    struct field e = sub(b, a), f = sub(d, c), g = add(d, c), h = add(b, a);
    return (struct point){mul(e, f), mul(g, h), mul(f, g), mul(e, h)};
}

static struct point point_double(const struct point *p)
{
    struct field a = mul(p->x, p->x), b = mul(p->y, p->y), c = mul(p->z, p->z);
    struct field sum = add(p->x, p->y);
    struct field h = add(a, b), e = sub(h, mul(sum, sum)), g = sub(a, b);
    struct field f = add(add(c, c), g);
    return (struct point){mul(e, f), mul(g, h), mul(f, g), mul(e, h)};
}

static struct point negate(struct point p)
{
    p.x = mul(sub(ZERO, p.x), ONE);
    p.t = mul(sub(ZERO, p.t), ONE);
    return p;
}

#define WINDOW 4u
#define TABLE (1u << WINDOW)

static void fill_table(const struct point *p, struct point table[TABLE])
{
    table[0] = (struct point){ZERO, ONE, ONE, ZERO};
    for (unsigned i = 1; i < TABLE; i++)
        table[i] = point_add(&table[i - 1], p);
}

/* [a]P + [b]Q, scalars of 256 bits, little endian. */
static struct point multiply(const uint8_t a[32], const struct point *p, const uint8_t b[32],
                             const struct point *q)
{
    struct point p_table[TABLE], q_table[TABLE];
    fill_table(p, p_table);
    fill_table(q, q_table);
    struct point sum = p_table[0];
    for (unsigned i = 64; i-- > 0;) {
        for (unsigned k = 0; k < WINDOW; k++)
            sum = point_double(&sum);
        unsigned shift = i % 2 * WINDOW;
        sum = point_add(&sum, &p_table[(unsigned)a[i / 2] >> shift & (TABLE - 1)]);
        sum = point_add(&sum, &q_table[(unsigned)b[i / 2] >> shift & (TABLE - 1)]);
    }
    return sum;
}

/* L = 2^252 + 27742317777372353535851937790883648493, little endian. */
static const uint8_t ORDER[32] = {0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7,
                                  0xa2, 0xde, 0xf9, 0xde, 0x14, 0,    0,    0,    0,    0,    0,
                                  0,    0,    0,    0,    0,    0,    0,    0,    0,    0x10};

static bool is_below_order(const uint8_t scalar[32])
{
    for (unsigned i = 32; i-- > 0;)
        if (scalar[i] != ORDER[i])
            return scalar[i] < ORDER[i];
    return false;
}

/* k = SHA-512(R, A, M) modulo L. False: no memory. */
static bool challenge(const uint8_t *r, const uint8_t *key, struct weir_contract_bytes message,
                      uint8_t ret_scalar[32])
{
    uint8_t hash[SHA512_BYTES];
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool is_good = context != NULL && EVP_DigestInit_ex(context, EVP_sha512(), NULL) == 1 &&
                   EVP_DigestUpdate(context, r, 32) == 1 &&
                   EVP_DigestUpdate(context, key, 32) == 1 &&
                   EVP_DigestUpdate(context, message.data, message.size) == 1 &&
                   EVP_DigestFinal_ex(context, hash, NULL) == 1;
    EVP_MD_CTX_free(context);
    BN_CTX *numbers = BN_CTX_new();
    BIGNUM *value = BN_lebin2bn(hash, sizeof hash, NULL);
    BIGNUM *order = BN_lebin2bn(ORDER, sizeof ORDER, NULL);
    is_good = is_good && numbers != NULL && value != NULL && order != NULL &&
              BN_mod(value, value, order, numbers) == 1 &&
              BN_bn2lebinpad(value, ret_scalar, 32) == 32;
    BN_free(order);
    BN_free(value);
    BN_CTX_free(numbers);
    return is_good;
}

enum weir_crypto_code weir_ed25519_verify(struct weir_contract_bytes message,
                                          struct weir_contract_bytes signature,
                                          struct weir_contract_bytes key)
{
    if (signature.size != WEIR_ED25519_SIGNATURE_BYTES)
        return WEIR_CRYPTO_SIGNATURE_FORMAT;
    if (key.size != WEIR_ED25519_KEY_BYTES)
        return WEIR_CRYPTO_KEY_FORMAT;
    const uint8_t *scalar = signature.data + 32;
    struct point a, r;
    uint8_t k[32];
    if (!is_below_order(scalar) || !decode(key.data, &a) || !decode(signature.data, &r))
        return WEIR_CRYPTO_NOT_VALID;
    if (!challenge(signature.data, key.data, message, k))
        return WEIR_CRYPTO_GENERIC;
    a = negate(a);
    r = negate(r);
    struct point sum = multiply(scalar, &BASE, k, &a);
    sum = point_add(&sum, &r);
    for (int i = 0; i < 3; i++) /* times 8 */
        sum = point_double(&sum);
    return is_zero(sum.x) && is_zero(sub(sum.y, sum.z)) ? WEIR_CRYPTO_VALID : WEIR_CRYPTO_NOT_VALID;
}

enum weir_crypto_code weir_ed25519_verify_batch(const struct weir_ed25519_batch *batch)
{
    /* A wrong format anywhere counts before a signature that is not valid. */
    for (uint32_t i = 0; i < batch->count; i++) {
        if (batch->signatures[i].size != WEIR_ED25519_SIGNATURE_BYTES)
            return WEIR_CRYPTO_SIGNATURE_FORMAT;
        if (batch->keys[batch->has_one_key ? 0 : i].size != WEIR_ED25519_KEY_BYTES)
            return WEIR_CRYPTO_KEY_FORMAT;
    }
    for (uint32_t i = 0; i < batch->count; i++) {
        enum weir_crypto_code code =
            weir_ed25519_verify(batch->messages[batch->has_one_message ? 0 : i],
                                batch->signatures[i], batch->keys[batch->has_one_key ? 0 : i]);
        if (code != WEIR_CRYPTO_VALID)
            return code;
    }
    return WEIR_CRYPTO_VALID;
}
