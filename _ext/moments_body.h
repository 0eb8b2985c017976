/* The body of moments.h, included once per instruction set with NAME, TARGET, LANES and ROWS defined. */

#if LANES > 1
typedef double NAME(vec) __attribute__((vector_size(8 * LANES), aligned(8), may_alias));
#else
typedef double NAME(vec);
#endif
#define VEC NAME(vec)
#define INLINE TARGET static inline __attribute__((always_inline))

/* Add the moments n of a few rows of nodes to their sums. */
INLINE void NAME(add)(const VEC *p, const int rows, const int shared, ptrdiff_t n_channels,
                      const double *restrict weights, ptrdiff_t stride, double *restrict sums, ptrdiff_t n_moments)
{
    if (!shared) {
        VEC total[ROWS];
        for (int r = 0; r < rows; r++)
            total[r] = p[r];
        for (int half = rows / 2; half > 0; half /= 2)
            for (int r = 0; r < half; r++)
                total[r] += total[r + half];
        *(VEC *)sums += total[0];
        return;
    }
    for (ptrdiff_t c = 0; c < n_channels; c++) {
        const double *restrict w = weights + c * stride;
        VEC *sum = (VEC *)(sums + c * n_moments * LANES);
        VEC even = *sum + *(const VEC *)w * p[0];
        if (rows > 1) {
            VEC odd = *(const VEC *)(w + LANES) * p[1];
            for (int r = 2; r < rows; r += 2) {
                even += *(const VEC *)(w + r * LANES) * p[r];
                odd += *(const VEC *)(w + (r + 1) * LANES) * p[r + 1];
            }
            even += odd;
        }
        *sum = even;
    }
}

/* `rows`, `shared` and `symmetric` are constants wherever this is inlined, so each case is a loop of its own.
 * shared: channels have weights of their own for common p_n; otherwise the one channel's weights are folded into
 * p_0, which makes an update one multiply, one fused multiply-add and one addition. Two steps a turn, so that p_n and
 * p_{n-1} change roles instead of registers. */
INLINE void NAME(pass)(
    const int rows, const int shared, const int symmetric, const recurrence_t *rec, ptrdiff_t n_channels,
    const double *restrict x, const double *restrict first, const double *restrict before,
    const double *restrict weights, ptrdiff_t stride, double *restrict sums)
{
    const ptrdiff_t n_moments = rec->n_moments;
    const double *restrict slope = rec->slope, *restrict shift = rec->shift, *restrict back = rec->back;
    VEC arg[ROWS], p[ROWS], q[ROWS];  /* q = p_{n-1}, then p_{n+1} */
    for (int r = 0; r < rows; r++) {
        arg[r] = *(const VEC *)(x + r * LANES);
        p[r] = *(const VEC *)(first + r * LANES);
        q[r] = *(const VEC *)(before + r * LANES);
        if (!shared) {
            const VEC w = *(const VEC *)(weights + r * LANES);
            p[r] *= w;
            q[r] *= w;
        }
    }
#define STEP(new, old, n) \
    for (int r = 0; r < rows; r++) \
        if (symmetric) \
            new[r] = arg[r] * old[r] - back[n] * new[r]; \
        else \
            new[r] = (arg[r] * slope[n] + shift[n]) * old[r] - back[n] * new[r]
    ptrdiff_t n = 0;
    for (; n + 1 < n_moments; n += 2) {
        NAME(add)(p, rows, shared, n_channels, weights, stride, sums + n * LANES, n_moments);
        STEP(q, p, n);
        NAME(add)(q, rows, shared, n_channels, weights, stride, sums + (n + 1) * LANES, n_moments);
        STEP(p, q, n + 1);
    }
    if (n < n_moments)
        NAME(add)(p, rows, shared, n_channels, weights, stride, sums + n * LANES, n_moments);
#undef STEP
}

INLINE void NAME(passes)(
    const int shared, const int symmetric, const recurrence_t *rec, ptrdiff_t n_nodes, ptrdiff_t n_channels,
    const double *restrict x, const double *restrict first, const double *restrict before,
    const double *restrict weights, ptrdiff_t stride, double *restrict sums)
{
#define PASS(rows) \
    NAME(pass)(rows, shared, symmetric, rec, n_channels, x + k, first + k, before + k, weights + k, stride, sums), \
    k += rows * LANES
    ptrdiff_t k = 0;
    while (k + ROWS * LANES <= n_nodes)
        PASS(ROWS);
#if ROWS > 4
    if (k + 4 * LANES <= n_nodes)
        PASS(4);
#endif
    if (k + 2 * LANES <= n_nodes)
        PASS(2);
    if (k + LANES <= n_nodes)
        PASS(1);
#undef PASS
    if (k < n_nodes) {  /* a last vector that is not full, with zeros for the rest */
        double tail[(3 + TAIL_CHANNELS) * LANES];
        const size_t size = (n_nodes - k) * sizeof(double);
        memset(tail, 0, (3 + n_channels) * LANES * sizeof(double));
        memcpy(tail, x + k, size);
        memcpy(tail + LANES, first + k, size);
        memcpy(tail + 2 * LANES, before + k, size);
        for (ptrdiff_t c = 0; c < n_channels; c++)
            memcpy(tail + (3 + c) * LANES, weights + c * stride + k, size);
        NAME(pass)(1, shared, symmetric, rec, n_channels, tail, tail + LANES, tail + 2 * LANES, tail + 3 * LANES,
                   LANES, sums);
    }
}

TARGET static void NAME(moments)(
    const recurrence_t *rec, ptrdiff_t n_nodes, ptrdiff_t n_channels, const double *x, const double *first,
    const double *before, const double *weights, ptrdiff_t stride, double *sums)
{
    /* As many channels at a time as keep their sums in the first-level cache. */
    ptrdiff_t group = 32768 / (8 * LANES * rec->n_moments);
    group = group < 1 ? 1 : group < TAIL_CHANNELS ? group : TAIL_CHANNELS;
    for (ptrdiff_t c = 0; c < n_channels; c += group) {
        const ptrdiff_t m = n_channels - c < group ? n_channels - c : group;
        const double *w = weights + c * stride;
        double *s = sums + c * rec->n_moments * LANES;
        if (m > 1 && rec->slope == NULL)
            NAME(passes)(1, 1, rec, n_nodes, m, x, first, before, w, stride, s);
        else if (m > 1)
            NAME(passes)(1, 0, rec, n_nodes, m, x, first, before, w, stride, s);
        else if (rec->slope == NULL)
            NAME(passes)(0, 1, rec, n_nodes, 1, x, first, before, w, stride, s);
        else
            NAME(passes)(0, 0, rec, n_nodes, 1, x, first, before, w, stride, s);
    }
}

/* out[i] = the sum of the LANES partial sums of row i, which are used up: halves are added to halves. */
TARGET static void NAME(reduce)(ptrdiff_t n, double *restrict sums, double *restrict out)
{
#if LANES > 4
    for (ptrdiff_t i = 0; i < n; i++)
        for (int l = 0; l < 4; l++)
            sums[i * 4 + l] = sums[i * 8 + l] + sums[i * 8 + 4 + l];
#endif
#if LANES > 2
    for (ptrdiff_t i = 0; i < n; i++)
        for (int l = 0; l < 2; l++)
            sums[i * 2 + l] = sums[i * 4 + l] + sums[i * 4 + 2 + l];
#endif
#if LANES > 1
    for (ptrdiff_t i = 0; i < n; i++)
        out[i] = sums[i * 2] + sums[i * 2 + 1];
#else
    for (ptrdiff_t i = 0; i < n; i++)
        out[i] = sums[i];
#endif
}

/* r = low + width (t - origin) / unit, at times from, from + 1, ... if there are none. */
TARGET static void NAME(ramp)(ptrdiff_t n, const double *restrict times, double from, double origin, double unit,
                              double low, double width, double *restrict r)
{
    if (times == NULL)
        for (ptrdiff_t i = 0; i < n; i++)
            r[i] = low + width * ((from + (double)i - origin) / unit);
    else
        for (ptrdiff_t i = 0; i < n; i++)
            r[i] = low + width * ((times[i] - origin) / unit);
}

/* The gaps between n + 1 positions, the widest of them, and the least. */
TARGET static double NAME(gaps)(ptrdiff_t n, const double *restrict r, double *restrict gap, double *restrict least)
{
    double low[MAX_LANES], high[MAX_LANES];
    ptrdiff_t i = 0;
    for (int l = 0; l < MAX_LANES; l++)
        low[l] = INFINITY, high[l] = 0;
    for (; i + MAX_LANES <= n; i += MAX_LANES)
        for (int l = 0; l < MAX_LANES; l++) {
            const double one = r[i + l + 1] - r[i + l];
            gap[i + l] = one;
            low[l] = one < low[l] ? one : low[l];
            high[l] = one > high[l] ? one : high[l];
        }
    for (; i < n; i++) {
        gap[i] = r[i + 1] - r[i];
        low[0] = gap[i] < low[0] ? gap[i] : low[0];
        high[0] = gap[i] > high[0] ? gap[i] : high[0];
    }
    for (int l = 1; l < MAX_LANES; l++) {
        low[0] = low[l] < low[0] ? low[l] : low[0];
        high[0] = high[l] > high[0] ? high[l] : high[0];
    }
    *least = low[0];
    return high[0];
}

TARGET static void NAME(invert)(ptrdiff_t n, const double *restrict gap, double *restrict inverse)
{
    for (ptrdiff_t i = 0; i < n; i++)
        inverse[i] = 1 / gap[i];
}

/* A broken line with corners (r_j, y_j): its slopes change by kink_j = slope_j - slope_{j-1} at r_j, where slope_j
 * belongs to the segment from r_j to r_{j+1}, and inverse_j = 1/(r_{j+1} - r_j), or 0 for segments left to others.
 * slope has one more element in front, the slope before the first corner. */
TARGET static void NAME(kinks)(ptrdiff_t n, const double *restrict y, const double *restrict inverse,
                               double *restrict slope, double *restrict kink)
{
    for (ptrdiff_t j = 0; j < n; j++)
        slope[j + 1] = (y[j + 1] - y[j]) * inverse[j];
    for (ptrdiff_t j = 0; j < n; j++)
        kink[j] = slope[j + 1] - slope[j];
}

TARGET static void NAME(steps)(ptrdiff_t n, const double *restrict y, double *restrict step)
{
    for (ptrdiff_t j = 0; j < n; j++)
        step[j] = y[j + 1] - y[j];
}

/* place = (r - middle) / half, and twice that. */
TARGET static void NAME(affine)(ptrdiff_t n, const double *restrict r, double middle, double half,
                                double *restrict x, double *restrict place)
{
    const double inverse = 1 / half;
    for (ptrdiff_t j = 0; j < n; j++) {
        place[j] = (r[j] - middle) * inverse;
        x[j] = 2 * place[j];
    }
}

TARGET static void NAME(fill)(ptrdiff_t n, double value, double *restrict x)
{
    for (ptrdiff_t j = 0; j < n; j++)
        x[j] = value;
}

#undef VEC
#undef INLINE
