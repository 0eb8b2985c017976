/* e^x (cos y, sin y) of vectors. See ssm.h and each_simd.h. */

#if LANES > 1
typedef TYPED(whole) FN(bits) __attribute__((vector_size(8 * LANES), aligned(sizeof(REAL)), may_alias));
#define BELOW(a, b) ((a) < (b))
#else
typedef TYPED(whole) FN(bits);
#define BELOW(a, b) (-(TYPED(whole))((a) < (b)))
#endif
#define BITS FN(bits)

INLINE BITS FN(bits_of)(VEC x)
{
    BITS bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

INLINE VEC FN(of_bits)(BITS bits)
{
    VEC x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* a where the mask has ones, and b where it has zeros. */
INLINE VEC FN(choose)(BITS mask, VEC a, VEC b)
{
    return FN(of_bits)((FN(bits_of)(a) & mask) | (FN(bits_of)(b) & ~mask));
}

/* The exponential is 2^i exp(r), |r| <= log(2) / 2; the angle is reduced to an eighth of a turn by quarter turns in three parts,
 * and is not known beyond LARGEST_ANGLE, for which ``far`` ones are taken. Of x up to 0: what is far below is 0; ``mild`` ones
 * are from -0.35 on. */
INLINE void FN(exponential)(const int mild, const int far, VEC x, VEC y, VEC *re, VEC *im)
{
    const int N = sizeof(REAL) == 4 ? 4 : 8, T = sizeof(REAL) == 4 ? 6 : 12;
    const REAL magic = TYPED(ROUNDING);
    const VEC none = {0};
    VEC r = x, power = none, size = none + 1;
    if (!mild) {
        x = FN(choose)(BELOW(x, none - TYPED(LEAST)), none - TYPED(LEAST), x);
        power = x * (REAL)1.44269504088896340736 + magic;
        const VEC i = power - magic;
        r = (x - i * (REAL)0.693145751953125) - i * (REAL)1.42860682030941723212e-6;
    }
    UNROLL
    for (int n = T; n > 0; n--)
        size = 1 + size * r * ((REAL)1 / n);
    if (!mild)
        size = FN(of_bits)(FN(bits_of)(size) + ((FN(bits_of)(power) - FN(bits_of)(none + magic)) << TYPED(FRACTION)));
    if (far) {
        const VEC most = none + TYPED(LARGEST_ANGLE);
        y = FN(choose)(BELOW(y, most), y, most);
        y = FN(choose)(BELOW(-most, y), y, -most);
    }
    const VEC shifted = y * (REAL)0.63661977236758134308 + magic, turns = shifted - magic;
    const VEC angle = ((y - turns * TYPED(QUARTER_HIGH)) - turns * TYPED(QUARTER_MIDDLE)) - turns * TYPED(QUARTER_LOW);
    const VEC square = angle * angle;
    VEC sine = none + 1, cosine = none + 1;
    UNROLL
    for (int n = N; n > 0; n--)
        sine = 1 - sine * square * ((REAL)1 / ((2 * n) * (2 * n + 1)));
    UNROLL
    for (int n = N + 1; n > 0; n--)
        cosine = 1 - cosine * square * ((REAL)1 / ((2 * n - 1) * (2 * n)));
    sine *= angle;
    const BITS quarter = FN(bits_of)(shifted), odd = -(quarter & 1);
    const int top = 8 * sizeof(REAL) - 2;
    const BITS minus = (BITS){0} + (TYPED(whole))((TYPED(positive))1 << (top + 1));
    *re = size * FN(of_bits)(FN(bits_of)(FN(choose)(odd, sine, cosine)) ^ (((quarter + 1) << top) & minus));
    *im = size * FN(of_bits)(FN(bits_of)(FN(choose)(odd, cosine, sine)) ^ ((quarter << top) & minus));
}
