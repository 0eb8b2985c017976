/* Diagonal state spaces whose steps differ: e^z is another one in each of them. See ssm.h and each_simd.h. */

/* One mode of some channels: of those that are slow, and of the others, with zeros in the place of the rest. */
typedef struct {
    VEC lr, li, cr, ci;          /* lambda, 2 C */
    VEC fr, fi, mr, mi, dr, di;  /* lambda, mu, 2 C mu */
    BITS is_slow;
    double slow, fast, decay;    /* the greatest |lambda| of each, 0 if there are none, and the others' greatest decay */
} FN(mode);

/* All modes of an item; what the others' outputs have too much of the input is taken from D. */
TARGET static void FN(load_modes)(ptrdiff_t n_modes, const REAL *lambda, const REAL *C, ptrdiff_t n, double bound,
                                  REAL *D, FN(mode) *m)
{
    const ptrdiff_t W = FN(LANE), M = n_modes * W;
    const VEC none = {0};
    for (ptrdiff_t j = 0; j < n_modes; j++, lambda += W, C += W, m++) {
        const VEC lr = *(const VEC *)lambda, li = *(const VEC *)(lambda + M), norm = 1 / (lr * lr + li * li + (REAL)1e-30);
        const VEC cr = 2 * *(const VEC *)C, ci = 2 * *(const VEC *)(C + M);
        const BITS slow = m->is_slow = BELOW(lr * lr + li * li, none + (REAL)(bound * bound));
        m->lr = FN(choose)(slow, lr, none), m->li = FN(choose)(slow, li, none);
        m->cr = FN(choose)(slow, cr, none), m->ci = FN(choose)(slow, ci, none);
        m->fr = FN(choose)(slow, none, lr), m->fi = FN(choose)(slow, none, li);
        m->mr = m->fr * norm, m->mi = -m->fi * norm;
        m->dr = cr * m->mr - ci * m->mi, m->di = cr * m->mi + ci * m->mr;
        *(VEC *)D -= m->dr;
        m->slow = m->fast = m->decay = 0;
        for (ptrdiff_t i = 0; i < n; i++) {
            const double re = lambda[i], im = lambda[M + i], size = re * re + im * im;
            double *most = ((const REAL *)&m->fr)[i] == 0 && ((const REAL *)&m->fi)[i] == 0 ? &m->slow : &m->fast;
            *most = size > *most ? size : *most;
            m->decay = most == &m->fast && -re > m->decay ? -re : m->decay;
        }
        m->slow = sqrt(m->slow), m->fast = sqrt(m->fast);
    }
}

/* The longest of some steps. */
static double FN(longest)(ptrdiff_t n, const double *steps)
{
    double most = 0;
    for (ptrdiff_t r = 0; r < n; r++)
        most = steps[r] > most ? steps[r] : most;
    return most;
}

/* Up to which |lambda| modes of a sequence are slow. */
static double FN(bound)(const space_t *s, ptrdiff_t b)
{
    const double *steps = s->step + b * s->length, slow = SLOW / FN(longest)(s->lengths[b], steps);
    double time = 0;
    for (ptrdiff_t k = 0; k < s->lengths[b]; k++)
        time += steps[k];
    return LITTLE / time < slow ? LITTLE / time : slow;
}

/* Terms of the series that are enough where |z| is no more than r, up to SLOW. */
static int FN(terms)(double r)
{
    if (sizeof(REAL) == 4)
        return r < 1. / 1024 ? 2 : r < 1. / 64 ? 3 : 6;
    return r < 1. / 1024 ? 5 : r < 1. / 64 ? 7 : 11;
}

/* phi_j(z) by its first terms. */
INLINE void FN(series)(const int j, int terms, VEC x, VEC y, VEC *re, VEC *im)
{
    static const REAL inverse[15] = {
        1, 1, (REAL)(1. / 2), (REAL)(1. / 6), (REAL)(1. / 24), (REAL)(1. / 120), (REAL)(1. / 720), (REAL)(1. / 5040),
        (REAL)(1. / 40320), (REAL)(1. / 362880), (REAL)(1. / 3628800), (REAL)(1. / 39916800), (REAL)(1. / 479001600),
        (REAL)(1. / 6227020800), (REAL)(1. / 87178291200)};
    VEC a = (VEC){0} + inverse[terms - 1 + j], b = {0};
    for (int n = terms - 2; n >= 0; n--) {
        const VEC next = a * x - b * y + inverse[n + j];
        b = a * y + b * x;
        a = next;
    }
    *re = a, *im = b;
}

/* x+ of slow modes, (E16). */
INLINE void FN(creep)(const FN(mode) *m, int terms, REAL h, VEC v, VEC s, VEC *re, VEC *im)
{
    const VEC x = m->lr * h, y = m->li * h, w = h * h * s, hv = h * v;
    VEC a2, b2;
    FN(series)(2, terms, x, y, &a2, &b2);
    const VEC a1 = 1 + x * a2 - y * b2, b1 = x * b2 + y * a2, er = x * a1 - y * b1, ei = x * b1 + y * a1;
    const VEC next = (*re + (hv * a1 + w * a2) + er * *re) - ei * *im;
    *im = (*im + (hv * b1 + w * b2) + er * *im) + ei * *re;
    *re = next;
}

/* e^z - 1 of the others. */
INLINE void FN(growth)(const int range, const FN(mode) *m, REAL h, VEC *re, VEC *im)
{
    VEC sine, cosine;
    FN(turn)(range, m->fi * (h * (REAL)0.5), &sine, &cosine);
    FN(grow)(FN(shrink)(range, m->fr * h), sine, cosine, re, im);
}

/* A stretch: u[0] is the input before it. Inputs rise by their slopes, and jump where they are held, or take no time. */
static void FN(inputs)(const space_t *s, item_t i, ptrdiff_t k, ptrdiff_t n, REAL *u, REAL *slope, REAL *jump)
{
    const ptrdiff_t W = FN(LANE), H = s->width, at = (i.b * s->length + k) * H + i.h;
    FN(gather)(1, H, i.n, W, k > 0 ? (const REAL *)s->u + at - H : (const REAL *)s->before + i.b * H + i.h, u);
    FN(gather)(n, H, i.n, W, (const REAL *)s->u + at, u + W);
    const double *steps = s->step + i.b * s->length + k;
    for (ptrdiff_t r = 0; r < n; r++) {
        const int rises = steps[r] > 0 && !s->held;
        const REAL inverse = rises ? (REAL)(1 / steps[r]) : 0;
        for (ptrdiff_t l = 0; l < W; l++) {
            const REAL more = u[(r + 1) * W + l] - u[r * W + l];
            slope[r * W + l] = inverse * more, jump[r * W + l] = rises ? 0 : more;
        }
    }
}

/* One mode through a stretch. Where they are wanted, parts of y are added to it; `path` has the states before and behind all
 * steps, and e^z - 1. */
INLINE void FN(travel)(const int range, const FN(mode) *m, ptrdiff_t n, const double *steps, int held, const REAL *slope,
                       const REAL *jump, VEC *re, VEC *im, REAL *y, REAL *path)
{
    const ptrdiff_t W = FN(LANE);
    if (path != NULL)
        *(VEC *)path = *re, *(VEC *)(path + W) = *im;
    for (ptrdiff_t r = 0; r < n; r++) {
        VEC er = {0}, ei = {0};
        if (held || !(steps[r] > 0))
            *re += *(const VEC *)(jump + r * W);
        if (steps[r] > 0) {
            const VEC s = *(const VEC *)(slope + r * W), pr = *re + m->mr * s, pi = *im + m->mi * s;
            FN(growth)(range, m, (REAL)steps[r], &er, &ei);
            *re = (*re + er * pr) - ei * pi, *im = (*im + er * pi) + ei * pr;  /* what waits is short */
        }
        if (y != NULL) {
            const VEC part = *(VEC *)(y + r * W) + m->dr * *re;
            *(VEC *)(y + r * W) = part - m->di * *im;
        }
        if (path != NULL) {
            VEC *now = (VEC *)(path + 4 * (r + 1) * W);
            now[0] = *re, now[1] = *im, now[2] = er, now[3] = ei;
        }
    }
}

/* `travel`, of the range that the longest of these steps is in. */
#define TRAVEL(longest, m, ...) \
    switch (range_of((m)->fast * (longest), (m)->decay * (longest), TYPED(LARGEST_ANGLE))) { \
    case TINY: FN(travel)(TINY, m, __VA_ARGS__); break; \
    case NEAR: FN(travel)(NEAR, m, __VA_ARGS__); break; \
    case ANY: FN(travel)(ANY, m, __VA_ARGS__); break; \
    default: FN(travel)(FAR, m, __VA_ARGS__); \
    }

/* Likewise, a slow one; v is the input at the beginning of each step. */
INLINE void FN(crawl)(const FN(mode) *m, int terms, ptrdiff_t n, const double *steps, const REAL *v, const REAL *slope, VEC *re, VEC *im,
                      REAL *y, REAL *path)
{
    const ptrdiff_t W = FN(LANE);
    if (path != NULL)
        *(VEC *)path = *re, *(VEC *)(path + W) = *im;
    for (ptrdiff_t r = 0; r < n; r++) {
        if (steps[r] > 0)
            FN(creep)(m, terms, (REAL)steps[r], *(const VEC *)(v + r * W), *(const VEC *)(slope + r * W), re, im);
        if (y != NULL) {
            const VEC part = *(VEC *)(y + r * W) + m->cr * *re;
            *(VEC *)(y + r * W) = part - m->ci * *im;
        }
        if (path != NULL)
            *(VEC *)(path + 4 * (r + 1) * W) = *re, *(VEC *)(path + (4 * r + 5) * W) = *im;
    }
}

/* From x to q at the first observation's input before it, and back at the last one's, where modes are not slow. */
TARGET static void FN(exchange)(int back, ptrdiff_t n_modes, const FN(mode) *m, const REAL *u, REAL *S)
{
    const ptrdiff_t W = FN(LANE), M = n_modes * W;
    const VEC now = *(const VEC *)u;
    for (ptrdiff_t j = 0; j < n_modes; j++, m++, S += W) {
        const VEC re = *(VEC *)S, im = *(VEC *)(S + M), other = re - now;
        const BITS slow = m->is_slow;
        *(VEC *)S = FN(choose)(slow, re, back ? m->mr * other - m->mi * im : m->fr * re - m->fi * im + now);
        *(VEC *)(S + M) = FN(choose)(slow, im, back ? m->mr * im + m->mi * other : m->fr * im + m->fi * re);
    }
}

TARGET static void FN(varying_forward)(const space_t *s, ptrdiff_t first, ptrdiff_t last, void *scratch)
{
    const ptrdiff_t W = FN(LANE), M = s->n_modes, L = s->length, H = s->width, P = 2 * M * W;
    const ptrdiff_t n_stretches = (L + STRETCH - 1) / STRETCH;
    const VEC none = {0};
    REAL *lambda = aligned(scratch), *C = lambda + P, *S = C + P, *D = S + P, *u = D + W, *slope = u + (STRETCH + 1) * W;
    REAL *jump = slope + STRETCH * W, *y = jump + STRETCH * W;
    FN(mode) *modes = (FN(mode) *)(y + STRETCH * W);
    for (ptrdiff_t item = first; item < last; item++) {
        const item_t i = item_of(s, item, W);
        const ptrdiff_t length = s->lengths[i.b];
        FN(gather_set)(s, i, 2 * M, s->rate, lambda), FN(gather_set)(s, i, 2 * M, s->read, C);
        FN(gather_set)(s, i, 1, s->pass, D);
        FN(load_modes)(M, lambda, C, i.n, FN(bound)(s, i.b), D, modes);
        REAL *state = (REAL *)s->state + i.b * 2 * M * H + i.h;
        FN(gather)(2 * M, H, i.n, W, state, S);
        for (ptrdiff_t k = 0; k < length; k += STRETCH) {
            const ptrdiff_t n = length - k < STRETCH ? length - k : STRETCH;
            const double *steps = s->step + i.b * L + k, longest = FN(longest)(n, steps);
            if (s->kept != NULL)
                FN(scatter)(2 * M, H, i.n, W, S, (REAL *)s->kept + (i.b * n_stretches + k / STRETCH) * 2 * M * H + i.h);
            FN(inputs)(s, i, k, n, u, slope, jump);
            if (k == 0)
                FN(exchange)(0, M, modes, u, S);
            for (ptrdiff_t r = 0; r < n; r++)
                *(VEC *)(y + r * W) = *(const VEC *)(u + (r + 1) * W) * *(const VEC *)D;
            for (ptrdiff_t j = 0; j < M; j++) {
                const FN(mode) *m = modes + j;
                const BITS slow = m->is_slow;
                const VEC re = *(VEC *)(S + j * W), im = *(VEC *)(S + (M + j) * W);
                VEC qr = FN(choose)(slow, none, re), qi = FN(choose)(slow, none, im);
                VEC xr = FN(choose)(slow, re, none), xi = FN(choose)(slow, im, none);
                if (m->fast > 0)
                    TRAVEL(longest, m, n, steps, s->held, slope, jump, &qr, &qi, y, NULL)
                if (m->slow > 0)
                    FN(crawl)(m, FN(terms)(m->slow * longest), n, steps, s->held ? u + W : u, slope, &xr, &xi, y, NULL);
                *(VEC *)(S + j * W) = FN(choose)(slow, xr, qr), *(VEC *)(S + (M + j) * W) = FN(choose)(slow, xi, qi);
            }
            FN(scatter)(n, H, i.n, W, y, (REAL *)s->y + (i.b * L + k) * H + i.h);
            if (k + n == length)
                FN(exchange)(1, M, modes, u + n * W, S);
        }
        FN(scatter)(2 * M, H, i.n, W, S, state);
    }
}
