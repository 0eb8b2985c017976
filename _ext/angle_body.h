/* e^z - 1 of vectors, of z near zero as well. See ssm.h and each_simd.h. */

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

/* sin y and cos y, of angles that are reduced to an eighth of a turn by quarter turns in three parts; they are not known beyond
 * LARGEST_ANGLE, which is taken for greater ones. */
INLINE void FN(turn)(VEC y, VEC *sine, VEC *cosine)
{
    static const REAL odd_terms[9] = {
        1, (REAL)(-1. / 6), (REAL)(1. / 120), (REAL)(-1. / 5040), (REAL)(1. / 362880), (REAL)(-1. / 39916800),
        (REAL)(1. / 6227020800), (REAL)(-1. / 1307674368000), (REAL)(1. / 355687428096000)};
    static const REAL even_terms[10] = {
        1, (REAL)(-1. / 2), (REAL)(1. / 24), (REAL)(-1. / 720), (REAL)(1. / 40320), (REAL)(-1. / 3628800),
        (REAL)(1. / 479001600), (REAL)(-1. / 87178291200), (REAL)(1. / 20922789888000), (REAL)(-1. / 6402373705728000)};
    const int N = sizeof(REAL) == 4 ? 4 : 8;
    const VEC none = {0}, most = none + TYPED(LARGEST_ANGLE);
    y = FN(choose)(BELOW(y, most), y, most);
    y = FN(choose)(BELOW(-most, y), y, -most);
    const VEC shifted = y * (REAL)0.63661977236758134308 + TYPED(ROUNDING), turns = shifted - TYPED(ROUNDING);
    y = ((y - turns * TYPED(QUARTER_HIGH)) - turns * TYPED(QUARTER_MIDDLE)) - turns * TYPED(QUARTER_LOW);
    const VEC square = y * y;
    VEC s = none + odd_terms[N], c = none + even_terms[N + 1];
    UNROLL
    for (int n = N; n > 0; n--)
        s = s * square + odd_terms[n - 1];
    UNROLL
    for (int n = N + 1; n > 0; n--)
        c = c * square + even_terms[n - 1];
    s *= y;
    const BITS quarter = FN(bits_of)(shifted), odd = -(quarter & 1);
    const int top = 8 * sizeof(REAL) - 2;
    const BITS minus = (BITS){0} + (TYPED(whole))((TYPED(positive))1 << (top + 1));
    *cosine = FN(of_bits)(FN(bits_of)(FN(choose)(odd, s, c)) ^ (((quarter + 1) << top) & minus));
    *sine = FN(of_bits)(FN(bits_of)(FN(choose)(odd, c, s)) ^ ((quarter << top) & minus));
}

/* e^x - 1 of x up to 0, 2^i (e^r - 1) + 2^i - 1 with r no more than log(2) / 2: what is far below is -1. */
INLINE VEC FN(shrink)(VEC x)
{
    static const REAL terms[14] = {
        1, 1, (REAL)(1. / 2), (REAL)(1. / 6), (REAL)(1. / 24), (REAL)(1. / 120), (REAL)(1. / 720), (REAL)(1. / 5040),
        (REAL)(1. / 40320), (REAL)(1. / 362880), (REAL)(1. / 3628800), (REAL)(1. / 39916800), (REAL)(1. / 479001600),
        (REAL)(1. / 6227020800)};
    const int N = sizeof(REAL) == 4 ? 7 : 13;
    const VEC none = {0};
    x = FN(choose)(BELOW(x, none - TYPED(LEAST)), none - TYPED(LEAST), x);
    const VEC shifted = x * (REAL)1.44269504088896340736 + TYPED(ROUNDING), i = shifted - TYPED(ROUNDING);
    x = (x - i * (REAL)0.693145751953125) - i * (REAL)1.42860682030941723212e-6;
    const VEC power = FN(of_bits)(FN(bits_of)(none + 1)
                                  + ((FN(bits_of)(shifted) - FN(bits_of)(none + TYPED(ROUNDING))) << TYPED(FRACTION)));
    VEC f = none + terms[N];
    UNROLL
    for (int n = N; n > 1; n--)
        f = f * x + terms[n - 1];
    f *= x;
    return f * power + (power - 1);
}

/* With f = e^x - 1, e^z - 1 = (f + 1) (cos y - 1) + f + i (f + 1) sin y, and cos y - 1 = -2 sin(y / 2)^2. */
INLINE void FN(grow)(VEC f, VEC sine, VEC cosine, VEC *re, VEC *im)
{
    const VEC twice = sine + sine, size = twice * f + twice;
    *re = f - size * sine, *im = size * cosine;
}
