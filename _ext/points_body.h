/* Loops over the points of a series; see moments.h and each_simd.h. */

#define VEC NAME(vec)

/* y += a x, element by element, x and y apart from each other. */
TARGET static void NAME(multiply_add)(ptrdiff_t n, const double *restrict a, const double *restrict x,
                                      double *restrict y)
{
    const ptrdiff_t last = n - LANES;
    if (last < 0) {
        for (ptrdiff_t i = 0; i < n; i++)
            y[i] += a[i] * x[i];
        return;
    }
    /* The last vector may overlap the one before it: it is made of what was there first. */
    const VEC end = *(const VEC *)(y + last) + *(const VEC *)(a + last) * *(const VEC *)(x + last);
    for (ptrdiff_t i = 0; i < last; i += LANES)
        *(VEC *)(y + i) += *(const VEC *)(a + i) * *(const VEC *)(x + i);
    *(VEC *)(y + last) = end;
}

/* r = base + width (t - origin) / unit, at times from, from + 1, ... if there are none; nothing lies beyond high. If it
 * is to be exact, a unit before the origin is a width before the base to the last bit. */
TARGET static void NAME(ramp)(ptrdiff_t n, const double *restrict times, double from, double origin, double unit,
                              double base, double width, double high, int exact, double *restrict r)
{
    const double scale = width / unit;
    if (times == NULL)
        for (int i = 0; i < (int)n; i++)
            r[i] = from + (double)i - origin;
    else
        for (ptrdiff_t i = 0; i < n; i++)
            r[i] = times[i] - origin;
    if (scale <= DBL_MAX && !exact)
        for (ptrdiff_t i = 0; i < n; i++)
            r[i] = base + r[i] * scale;
    else
        for (ptrdiff_t i = 0; i < n; i++)
            r[i] = base + width * (r[i] / unit);
    for (ptrdiff_t i = 0; i < n; i++)
        r[i] = r[i] < high ? r[i] : high;
}

/* out = matrix m, for a matrix whose columns are stride apart, column by column. */
TARGET static void NAME(combine)(ptrdiff_t n, const double *restrict matrix, ptrdiff_t stride, const double *restrict m,
                                 double *restrict out)
{
    for (ptrdiff_t i = 0; i < n; i++)
        out[i] = matrix[i] * m[0];
    for (ptrdiff_t k = 1; k < n; k++)
        for (ptrdiff_t i = 0; i < n; i++)
            out[i] += matrix[k * stride + i] * m[k];
}

/* The gaps between n + 1 positions, the widest of them, and the least. */
TARGET static double NAME(gaps)(ptrdiff_t n, const double *restrict r, double *restrict gap, double *restrict least)
{
    double low = INFINITY, high = 0;
    SIMD_EXTREMES(low, high)
    for (ptrdiff_t i = 0; i < n; i++) {
        const double one = r[i + 1] - r[i];
        gap[i] = one;
        low = one < low ? one : low;
        high = one > high ? one : high;
    }
    *least = low;
    return high;
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

/* One channel of observations, channel by channel. */
#define PICK(name, type) \
    TARGET static void NAME(name)(ptrdiff_t n, const type *restrict v, ptrdiff_t n_channels, double *restrict y) \
    { \
        if (n_channels == 1) \
            for (ptrdiff_t i = 0; i < n; i++) \
                y[i] = v[i]; \
        else if (n_channels == 3) \
            for (ptrdiff_t i = 0; i < n; i++) \
                y[i] = v[3 * i]; \
        else \
            for (ptrdiff_t i = 0; i < n; i++) \
                y[i] = v[i * n_channels]; \
    }
PICK(pick, double)
PICK(pick_float, float)
#undef PICK

TARGET static void NAME(rises)(ptrdiff_t n, const double *restrict y, double *restrict rise)
{
    for (ptrdiff_t j = 0; j < n; j++)
        rise[j] = y[j + 1] - y[j];
}

/* Twice the position, and p_0 = 1, p_{-1} = 0. */
TARGET static void NAME(begin)(ptrdiff_t n, const double *restrict r, double *restrict x, double *restrict first,
                               double *restrict before)
{
    for (ptrdiff_t j = 0; j < n; j++) {
        x[j] = 2 * r[j];
        first[j] = 1;
        before[j] = 0;
    }
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

static const vectors_t NAME(vectors) = {
    .moments = NAME(moments), .reduce = NAME(reduce), .fold = NAME(fold), .multiply_add = NAME(multiply_add),
    .ramp = NAME(ramp), .combine = NAME(combine), .gaps = NAME(gaps), .kinks = NAME(kinks), .rises = NAME(rises),
    .affine = NAME(affine), .pick = NAME(pick), .pick_float = NAME(pick_float), .begin = NAME(begin),
    .fill = NAME(fill), .invert = NAME(invert),
};

#undef VEC
