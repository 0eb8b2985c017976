/* Moments, and sums over the lanes of a vector; see moments.h and each_simd.h. */

#if LANES == 8 || (LANES == 2 && defined(__aarch64__))
#define ROWS 8  /* vectors of nodes side by side: three registers each, and a few to spare */
#else
#define ROWS 4
#endif

#if LANES > 1
typedef double NAME(vec) __attribute__((vector_size(8 * LANES), aligned(8), may_alias));
#else
typedef double NAME(vec);
#endif
#define VEC NAME(vec)
#define INLINE TARGET static inline __attribute__((always_inline))

/* Moments of a few rows of nodes by the recurrence (E5), everything but the sums in registers: a step is bound by what it moves. `rows`,
 * `channels` and `symmetric` are constants wherever this is inlined, so each case is a loop of its own. The weights of
 * one channel are folded into p_0, which makes an update one multiply, one fused multiply-add and one addition; more
 * channels share the p_n. Two steps a turn, so that p_n and p_{n-1} change roles instead of registers. */
INLINE void NAME(pass)(
    const int rows, const int channels, const int symmetric, const recurrence_t *rec, const double *restrict x,
    const double *restrict first, const double *restrict before, const double *restrict weights, ptrdiff_t stride,
    double *restrict sums)
{
    const ptrdiff_t n_moments = rec->n_moments;
    const double *restrict slope = rec->slope, *restrict shift = rec->shift, *restrict back = rec->back;
    VEC arg[ROWS], p[ROWS], q[ROWS], w[SHARED][ROWS];  /* q = p_{n-1}, then p_{n+1} */
    for (int r = 0; r < rows; r++) {
        arg[r] = *(const VEC *)(x + r * LANES);
        p[r] = *(const VEC *)(first + r * LANES);
        q[r] = *(const VEC *)(before + r * LANES);
        for (int c = 0; c < channels; c++)
            w[c][r] = *(const VEC *)(weights + c * stride + r * LANES);
        if (channels == 1) {
            p[r] *= w[0][r];
            q[r] *= w[0][r];
        }
    }
#define ADD(p, n) \
    for (int c = 0; c < channels; c++) { \
        VEC *sum = (VEC *)(sums + (c * n_moments + n) * LANES), total[ROWS]; \
        if (channels == 1) { \
            for (int r = 0; r < rows; r++) \
                total[r] = p[r]; \
            for (int half = rows / 2; half > 0; half /= 2) \
                for (int r = 0; r < half; r++) \
                    total[r] += total[r + half]; \
            *sum += total[0]; \
        } else { \
            total[0] = *sum; \
            for (int r = 0; r < rows; r++) \
                total[0] += w[c][r] * p[r]; \
            *sum = total[0]; \
        } \
    }
#define NEXT(new, old, n) \
    for (int r = 0; r < rows; r++) \
        if (symmetric) \
            new[r] = arg[r] * old[r] - back[n] * new[r]; \
        else \
            new[r] = (arg[r] * slope[n] + shift[n]) * old[r] - back[n] * new[r];
    ptrdiff_t n = 0;
    for (; n + 1 < n_moments; n += 2) {
        ADD(p, n)
        NEXT(q, p, n)
        ADD(q, n + 1)
        NEXT(p, q, n + 1)
    }
    if (n < n_moments)
        ADD(p, n)
#undef ADD
#undef NEXT
}

INLINE void NAME(passes)(
    const int channels, const int symmetric, const recurrence_t *rec, ptrdiff_t n_nodes, const double *restrict x,
    const double *restrict first, const double *restrict before, const double *restrict weights, ptrdiff_t stride,
    double *restrict sums)
{
#define PASSES(rows) \
    for (; k + (rows) * LANES <= n_nodes; k += (rows) * LANES) \
        NAME(pass)(rows, channels, symmetric, rec, x + k, first + k, before + k, weights + k, stride, sums)
    ptrdiff_t k = 0;
    if (channels == 1)
        PASSES(ROWS);
    PASSES(ROWS / 2);
    if (ROWS > 4)
        PASSES(2);
    PASSES(1);
#undef PASSES
}

TARGET static void NAME(moments)(
    const recurrence_t *rec, ptrdiff_t n_nodes, ptrdiff_t n_channels, const double *x, const double *first,
    const double *before, const double *weights, ptrdiff_t stride, double *sums)
{
#define CASE(n) \
    case n: \
        if (rec->slope == NULL) \
            NAME(passes)(n, 1, rec, n_nodes, x, first, before, weights, stride, sums); \
        else \
            NAME(passes)(n, 0, rec, n_nodes, x, first, before, weights, stride, sums); \
        break;
    for (ptrdiff_t left = n_channels, group; left > 0; left -= group) {
        group = left == 5 ? 3 : left > SHARED ? SHARED : left;
        switch (group) {
            CASE(1)
            CASE(2)
            CASE(3)
            CASE(4)
        }
        weights += group * stride;
        sums += group * rec->n_moments * LANES;
    }
#undef CASE
}

#ifdef HIPPO_SHUFFLE
#if LANES > 2
typedef double NAME(four) __attribute__((vector_size(32), aligned(8), may_alias));
#define FOUR NAME(four)

/* The four partial sums of row i. */
INLINE FOUR NAME(partial)(const double *sums, ptrdiff_t i)
{
#if LANES == 8
    return *(const FOUR *)(sums + i * 8) + *(const FOUR *)(sums + i * 8 + 4);
#else
    return *(const FOUR *)(sums + i * 4);
#endif
}
#endif
#endif

/* out[i] = the sum of the LANES partial sums of row i. */
TARGET static void NAME(reduce)(ptrdiff_t n, const double *restrict sums, double *restrict out)
{
    ptrdiff_t i = 0;
#if defined(HIPPO_SHUFFLE) && LANES > 2
    for (; i + 4 <= n; i += 4) {  /* transpose four rows of four while adding them up */
        const FOUR a = NAME(partial)(sums, i), b = NAME(partial)(sums, i + 1);
        const FOUR c = NAME(partial)(sums, i + 2), d = NAME(partial)(sums, i + 3);
        const FOUR ab = __builtin_shufflevector(a, b, 0, 4, 2, 6) + __builtin_shufflevector(a, b, 1, 5, 3, 7);
        const FOUR cd = __builtin_shufflevector(c, d, 0, 4, 2, 6) + __builtin_shufflevector(c, d, 1, 5, 3, 7);
        *(FOUR *)(out + i) =
            __builtin_shufflevector(ab, cd, 0, 1, 4, 5) + __builtin_shufflevector(ab, cd, 2, 3, 6, 7);
    }
#undef FOUR
#endif
    for (; i < n; i++) {
        double total = 0;
        for (int l = 0; l < LANES; l++)
            total += sums[i * LANES + l];
        out[i] = total;
    }
}

/* totals[i] += the sum of the LANES partial sums of row i, which begin anew. */
TARGET static void NAME(fold)(ptrdiff_t n, double *restrict sums, double *restrict totals)
{
    double row[64];
    for (ptrdiff_t i = 0; i < n; i += 64) {
        const ptrdiff_t some = n - i < 64 ? n - i : 64;
        NAME(reduce)(some, sums + i * LANES, row);
        for (ptrdiff_t j = 0; j < some; j++)
            totals[i + j] += row[j];
    }
    memset(sums, 0, n * LANES * sizeof(double));
}

#undef VEC
#undef INLINE
#undef ROWS
