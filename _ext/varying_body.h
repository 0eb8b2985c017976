/* Diagonal state spaces whose steps differ: e^z is another one in each of them. See ssm.h and each_simd.h. */

/* Terms of the series that are enough where |z| is no more than r, up to 1/2. */
static int FN(terms)(double r)
{
    const int place = r < 1. / 1024 ? 0 : r < 1. / 64 ? 1 : r < 1. / 8 ? 2 : 3;
    static const int of_float[4] = {2, 3, 5, 7}, of_double[4] = {5, 7, 10, 14};
    return (sizeof(REAL) == 4 ? of_float : of_double)[place];
}

/* phi_j(z) by its first terms. */
INLINE void FN(series)(int j, int terms, VEC x, VEC y, VEC *re, VEC *im)
{
    static const REAL inverse[18] = {
        1, 1, (REAL)(1. / 2), (REAL)(1. / 6), (REAL)(1. / 24), (REAL)(1. / 120), (REAL)(1. / 720), (REAL)(1. / 5040),
        (REAL)(1. / 40320), (REAL)(1. / 362880), (REAL)(1. / 3628800), (REAL)(1. / 39916800), (REAL)(1. / 479001600),
        (REAL)(1. / 6227020800), (REAL)(1. / 87178291200), (REAL)(1. / 1307674368000), (REAL)(1. / 20922789888000),
        (REAL)(1. / 355687428096000)};
    VEC a = (VEC){0} + inverse[terms - 1 + j], b = {0};
    for (int n = terms - 2; n >= 0; n--) {
        const VEC next = a * x - b * y + inverse[n + j];
        b = a * y + b * x;
        a = next;
    }
    *re = a, *im = b;
}

/* One mode of some channels. */
typedef struct {
    VEC lr, li, mr, mi, sr, si, cr, ci;  /* lambda, mu, mu^2, C */
    double least, most, decay;           /* |lambda|, and the greatest of its decays */
} FN(mode);

INLINE void FN(load_mode)(const REAL *lambda, const REAL *C, ptrdiff_t M, ptrdiff_t n, FN(mode) *m)
{
    m->lr = *(const VEC *)lambda, m->li = *(const VEC *)(lambda + M);
    m->cr = *(const VEC *)C, m->ci = *(const VEC *)(C + M);
    const VEC norm = 1 / (m->lr * m->lr + m->li * m->li + (REAL)1e-30);
    m->mr = m->lr * norm, m->mi = -m->li * norm;
    m->sr = m->mr * m->mr - m->mi * m->mi, m->si = 2 * m->mr * m->mi;
    double least = DBL_MAX, most = 0;
    for (ptrdiff_t i = 0; i < n; i++) {
        const double square = (double)lambda[i] * lambda[i] + (double)lambda[M + i] * lambda[M + i];
        least = square < least ? square : least, most = square > most ? square : most;
    }
    m->least = sqrt(least), m->most = sqrt(most), m->decay = 0;
    for (ptrdiff_t i = 0; i < n; i++)
        m->decay = -lambda[i] > m->decay ? -lambda[i] : m->decay;
}

/* All modes of an item. */
TARGET static void FN(load_modes)(ptrdiff_t n_modes, const REAL *lambda, const REAL *C, ptrdiff_t n, FN(mode) *modes)
{
    const ptrdiff_t W = FN(LANE);
    for (ptrdiff_t j = 0; j < n_modes; j++)
        FN(load_mode)(lambda + j * W, C + j * W, n_modes * W, n, modes + j);
}

/* x+ where z is small. */
INLINE void FN(creep)(const FN(mode) *m, int terms, REAL h, VEC v, VEC s, VEC *re, VEC *im)
{
    const VEC x = m->lr * h, y = m->li * h, dr = x * *re - y * *im + h * v, di = x * *im + y * *re;
    VEC a2, b2;
    FN(series)(2, terms, x, y, &a2, &b2);
    const VEC a1 = 1 + x * a2 - y * b2, b1 = x * b2 + y * a2, w = h * h * s;
    *re += a1 * dr - b1 * di + a2 * w;
    *im += a1 * di + b1 * dr + b2 * w;
}

/* x+ elsewhere, (E16) in e^z alone, which is returned too. */
INLINE void FN(leap)(const FN(mode) *m, REAL h, VEC v, VEC w, VEC s, VEC *re, VEC *im, VEC *er, VEC *ei)
{
    const VEC x = m->lr * h, y = m->li * h;
    if (m->most * h > TYPED(LARGEST_ANGLE))
        FN(exponential)(0, 1, x, y, er, ei);
    else if (m->decay * h < 0.35)
        FN(exponential)(1, 0, x, y, er, ei);
    else
        FN(exponential)(0, 0, x, y, er, ei);
    const VEC tr = m->sr * s, ti = m->si * s, a = *re + m->mr * v + tr, b = *im + m->mi * v + ti;
    *re = *er * a - *ei * b - (m->mr * w + tr);
    *im = *er * b + *ei * a - (m->mi * w + ti);
}

/* Where z is small. */
INLINE BITS FN(is_slow)(const FN(mode) *m, REAL h)
{
    return BELOW((m->lr * m->lr + m->li * m->li) * (h * h), (VEC){0} + (REAL)0.25);
}

/* One step of any length. */
INLINE void FN(move)(const FN(mode) *m, double step, VEC v, VEC w, VEC s, VEC *re, VEC *im, VEC *er, VEC *ei)
{
    const REAL h = (REAL)step;
    const int ways = ways_of(m->least, m->most, step);
    VEC slow_re = *re, slow_im = *im;
    if (ways & SLOW)
        FN(creep)(m, FN(terms)(m->most * step < 0.5 ? m->most * step : 0.5), h, v, s, &slow_re, &slow_im);
    if (ways == SLOW) {
        *re = slow_re, *im = slow_im;
        return;
    }
    FN(leap)(m, h, v, w, s, re, im, er, ei);
    if (ways & SLOW) {
        const BITS slow = FN(is_slow)(m, h);
        *re = FN(choose)(slow, slow_re, *re), *im = FN(choose)(slow, slow_im, *im);
    }
}

/* Inputs and slopes of a stretch: u[0] is the input before it. */
static void FN(inputs)(const space_t *s, item_t i, ptrdiff_t k, ptrdiff_t n, REAL *u, REAL *slope)
{
    const ptrdiff_t W = FN(LANE), H = s->width, at = (i.b * s->length + k) * H + i.h;
    FN(gather)(1, H, i.n, W, k > 0 ? (const REAL *)s->u + at - H : (const REAL *)s->before + i.b * H + i.h, u);
    FN(gather)(n, H, i.n, W, (const REAL *)s->u + at, u + W);
    const double *steps = s->step + i.b * s->length + k;
    for (ptrdiff_t r = 0; r < n; r++) {
        const REAL inverse = steps[r] > 0 && !s->held ? (REAL)(1 / steps[r]) : 0;
        for (ptrdiff_t l = 0; l < W; l++)
            slope[r * W + l] = inverse * (u[(r + 1) * W + l] - u[r * W + l]);
    }
}

TARGET static void FN(varying_forward)(const space_t *s, ptrdiff_t first, ptrdiff_t last, void *scratch)
{
    const ptrdiff_t W = FN(LANE), M = s->n_modes, L = s->length, H = s->width, P = 2 * M * W;
    const ptrdiff_t n_stretches = (L + STRETCH - 1) / STRETCH;
    REAL *lambda = aligned(scratch), *C = lambda + P, *S = C + P, *D = S + P, *u = D + W, *slope = u + (STRETCH + 1) * W;
    REAL *y = slope + STRETCH * W;
    FN(mode) *modes = (FN(mode) *)(y + STRETCH * W);
    for (ptrdiff_t item = first; item < last; item++) {
        const item_t i = item_of(s, item, W);
        const ptrdiff_t length = s->lengths[i.b];
        FN(gather_set)(s, i, 2 * M, s->rate, lambda), FN(gather_set)(s, i, 2 * M, s->read, C);
        FN(gather_set)(s, i, 1, s->pass, D);
        FN(load_modes)(M, lambda, C, i.n, modes);
        REAL *state = (REAL *)s->state + i.b * 2 * M * H + i.h;
        FN(gather)(2 * M, H, i.n, W, state, S);
        for (ptrdiff_t k = 0; k < length; k += STRETCH) {
            const ptrdiff_t n = length - k < STRETCH ? length - k : STRETCH;
            const double *steps = s->step + i.b * L + k;
            if (s->kept != NULL)
                FN(scatter)(2 * M, H, i.n, W, S, (REAL *)s->kept + (i.b * n_stretches + k / STRETCH) * 2 * M * H + i.h);
            FN(inputs)(s, i, k, n, u, slope);
            for (ptrdiff_t r = 0; r < n; r++)
                *(VEC *)(y + r * W) = *(const VEC *)(u + (r + 1) * W) * *(const VEC *)D;
            const REAL *v = s->held ? u + W : u;
            for (ptrdiff_t j = 0; j < M; j++) {
                const FN(mode) *m = modes + j;
                VEC re = *(VEC *)(S + j * W), im = *(VEC *)(S + (M + j) * W), er, ei;
                for (ptrdiff_t r = 0; r < n; r++) {
                    if (steps[r] > 0)
                        FN(move)(m, steps[r], *(const VEC *)(v + r * W), *(const VEC *)(u + (r + 1) * W),
                                 *(const VEC *)(slope + r * W), &re, &im, &er, &ei);
                    *(VEC *)(y + r * W) += 2 * (m->cr * re - m->ci * im);
                }
                *(VEC *)(S + j * W) = re, *(VEC *)(S + (M + j) * W) = im;
            }
            FN(scatter)(n, H, i.n, W, y, (REAL *)s->y + (i.b * L + k) * H + i.h);
        }
        FN(scatter)(2 * M, H, i.n, W, S, state);
    }
}
