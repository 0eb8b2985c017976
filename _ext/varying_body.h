/* Diagonal state spaces whose steps differ: e^z is another one in each of them. See ssm.h and each_simd.h. */

/* The steps of a stretch, in the unit of time. */
static void FN(ticks)(ptrdiff_t n, const double *steps, pace_t pace, FN(clock) *clock)
{
    for (ptrdiff_t r = 0; r < n; r++)
        clock->steps[r] = steps[r] > TYPED(NO_TIME) * pace.longest ? steps[r] / pace.unit : 0;
    const double c = clock->c = center_of(longest_of(n, clock->steps), pace.longest / pace.unit), cell = 2 * c / CELLS;
    clock->span = 2 * c < pace.reach ? 2 * c : pace.reach;
    for (ptrdiff_t r = 0; r < n; r++) {
        const double step = clock->steps[r];
        const int k = step < 2 * c ? (int)(step / cell) : CELLS - 1;
        clock->place[r] = (REAL)(step / c - 1), clock->cell[r] = k;
        clock->rest[r] = (REAL)(step - cell * k), clock->rest_place[r] = (REAL)(2 * (step / cell - k) - 1);
    }
}

/* How slow modes, `slow` the fastest of them, go through a stretch: in the same way through all that have no leaps. */
static int FN(how)(double slow, double reach, const FN(clock) *clock)
{
    return 2 * clock->c > clock->span ? LEAPS : slow * reach < SLOW ? FEW_POWERS : MANY_POWERS;
}

/* A stretch: u[0] is the input before it. Inputs rise by their slopes, and jump where they are held, or take no time. */
static void FN(inputs)(const space_t *s, item_t i, ptrdiff_t k, ptrdiff_t n, const FN(clock) *clock, REAL *u, REAL *slope, REAL *jump)
{
    const ptrdiff_t W = FN(LANE), H = s->width, at = (i.b * s->length + k) * H + i.h;
    FN(gather)(1, H, i.n, W, k > 0 ? (const REAL *)s->u + at - H : (const REAL *)s->before + i.b * H + i.h, u);
    FN(gather)(n, H, i.n, W, (const REAL *)s->u + at, u + W);
    for (ptrdiff_t r = 0; r < n; r++) {
        const int rises = clock->steps[r] > 0 && !s->held;
        const REAL inverse = rises ? (REAL)(1 / clock->steps[r]) : 0;
        for (ptrdiff_t l = 0; l < W; l++) {
            const REAL more = u[(r + 1) * W + l] - u[r * W + l];
            slope[r * W + l] = inverse * more, jump[r * W + l] = rises ? 0 : more;
        }
    }
}

/* The greatest |lambda| of PAIR modes: of slow ones, or -1, and of the others, or 0. */
static double FN(slowest)(const FN(mode) *m)
{
    double most = -1;
    for (int p = 0; p < PAIR; p++)
        most = m[p].slow > most ? m[p].slow : most;
    return most;
}

static double FN(fastest)(const FN(mode) *m)
{
    double most = 0;
    for (int p = 0; p < PAIR; p++)
        most = m[p].fast > most ? m[p].fast : most;
    return most;
}

/* The range of PAIR modes in steps up to 2 c, whose polynomials are made if they are of another c. */
TARGET static int FN(ready)(const FN(clock) *clock, int how, const FN(mode) *m, FN(polynomials) *of)
{
    const double c = clock->c, fastest = FN(fastest)(m);
    const int range = range_of(2 * c * fastest, 2 * TYPED(LARGEST_ANGLE));
    for (int p = 0; of->c != c && p < PAIR; p++) {
        if (m[p].slow >= 0)
            FN(powers_of)(POWERS(how), m + p, clock->span, of->power_re[p], of->power_im[p]);
        else
            memset(of->power_re[p], 0, sizeof of->power_re[p]), memset(of->power_im[p], 0, sizeof of->power_im[p]);
        if (fastest > 0 && range < FAR)
            FN(expand)(TYPED(DEGREE)(range), m + p, (REAL)(range == LARGE ? c / CELLS : c), of->re[p], of->im[p]);
        for (int k = 0; range == LARGE && k < CELLS; k++)
            FN(growth)(FAR, m + p, (REAL)(2 * c / CELLS * k), of->cell_re[p] + k, of->cell_im[p] + k);
    }
    of->c = c;
    return range;
}

/* Numbers in another unit. */
static void FN(rescale)(ptrdiff_t n, double factor, REAL *numbers)
{
    for (ptrdiff_t k = 0; k < n; k++)
        numbers[k] *= (REAL)factor;
}

/* lambda, C and D of an item, and its modes. */
TARGET static double FN(prepare)(const space_t *s, item_t i, pace_t pace, REAL *lambda, REAL *C, REAL *D, FN(mode) *modes,
                                 FN(polynomials) *polynomials)
{
    const ptrdiff_t M = s->n_modes, P = 2 * M * FN(LANE);
    FN(gather_set)(s, i, 2 * M, s->rate, lambda), FN(gather_set)(s, i, 2 * M, s->read, C), FN(gather_set)(s, i, 1, s->pass, D);
    FN(rescale)(P, pace.unit, lambda), FN(rescale)(P, pace.unit, C);
    return FN(load_modes)(M, lambda, C, i.n, pace.bound, D, modes, polynomials);
}

/* PAIR modes through a stretch. Where they are wanted, parts of y are added to it; `path` has, of each, the states before and
 * behind all steps, and e^z - 1. */
INLINE void FN(travel)(const int range, const FN(mode) *m, const FN(polynomials) *of, ptrdiff_t n,
                       const FN(clock) *clock, int held, const REAL *slope, const REAL *jump, VEC *re, VEC *im, REAL *y, REAL *path)
{
    const double *steps = clock->steps;
    const REAL *place = range == LARGE ? clock->rest_place : clock->place;
    const ptrdiff_t W = FN(LANE);
    const int degree = TYPED(DEGREE)(range);
    UNROLL
    for (int p = 0; path != NULL && p < PAIR; p++)
        ((VEC *)path)[4 * p] = re[p], ((VEC *)path)[4 * p + 1] = im[p];
    for (ptrdiff_t r = 0; r < n; r++) {
        VEC er[PAIR] = {0}, ei[PAIR] = {0};
        if (held || !(steps[r] > 0)) {
            const VEC more = *(const VEC *)(jump + r * W);
            UNROLL
            for (int p = 0; p < PAIR; p++)
                re[p] += m[p].fr * more, im[p] += m[p].fi * more;
        }
        if (steps[r] > 0) {
            const VEC s = *(const VEC *)(slope + r * W);
            UNROLL
            for (int p = 0; p < PAIR; p++) {
                const VEC pr = re[p] + s, pi = im[p];
                if (range < FAR) {
                    er[p] = of->re[p][degree], ei[p] = of->im[p][degree];
                    UNROLL
                    for (int k = degree - 1; k >= 0; k--)
                        er[p] = er[p] * place[r] + of->re[p][k], ei[p] = ei[p] * place[r] + of->im[p][k];
                    const REAL h = range == LARGE ? clock->rest[r] : (REAL)steps[r];
                    er[p] *= h, ei[p] *= h;
                    if (range == LARGE) {
                        const VEC fr = of->cell_re[p][clock->cell[r]], fi = of->cell_im[p][clock->cell[r]], rest = er[p];
                        er[p] = fr + (rest + fr * rest - fi * ei[p]), ei[p] = fi + (ei[p] + fr * ei[p] + fi * rest);
                    }
                } else
                    FN(growth)(range, m + p, (REAL)steps[r], er + p, ei + p);
                re[p] = (re[p] + er[p] * pr) - ei[p] * pi;  /* what waits is short */
                im[p] = (im[p] + er[p] * pi) + ei[p] * pr;
            }
        }
        if (y != NULL) {
            VEC part = *(VEC *)(y + r * W);
            UNROLL
            for (int p = 0; p < PAIR; p++)
                part = part + m[p].dr * re[p] - m[p].di * im[p];
            *(VEC *)(y + r * W) = part;
        }
        if (path != NULL) {
            VEC *now = (VEC *)path + 4 * PAIR * (r + 1);
            UNROLL
            for (int p = 0; p < PAIR; p++, now += 4)
                now[0] = re[p], now[1] = im[p], now[2] = er[p], now[3] = ei[p];
        }
    }
}

/* `travel`, of the range that they are in. */
#define TRAVEL(range, m, of, ...) \
    switch (range) { \
    case TINY: FN(travel)(TINY, m, of, __VA_ARGS__); break; \
    case SMALL: FN(travel)(SMALL, m, of, __VA_ARGS__); break; \
    case LARGE: FN(travel)(LARGE, m, of, __VA_ARGS__); break; \
    case FAR: FN(travel)(FAR, m, of, __VA_ARGS__); break; \
    default: FN(travel)(ENDLESS, m, of, __VA_ARGS__); \
    }

/* From x to r at the first observation's input before it, and back at the last one's, where modes are not slow. */
TARGET static void FN(exchange)(int back, ptrdiff_t n_modes, const FN(mode) *m, const REAL *u, REAL *S)
{
    const ptrdiff_t W = FN(LANE), M = n_modes * W;
    const VEC now = *(const VEC *)u;
    for (ptrdiff_t j = 0; j < n_modes; j++, m++, S += W) {
        const VEC re = *(VEC *)S, im = *(VEC *)(S + M), fr = back ? m->mr : m->fr, fi = back ? m->mi : m->fi;
        const VEC qr = fr * re - fi * im + (back ? -now : now), qi = fr * im + fi * re;
        *(VEC *)S = FN(choose)(m->is_slow, re, fr * qr - fi * qi), *(VEC *)(S + M) = FN(choose)(m->is_slow, im, fr * qi + fi * qr);
    }
}

TARGET static void FN(varying_forward)(const space_t *s, ptrdiff_t first, ptrdiff_t last, void *scratch)
{
    const ptrdiff_t W = FN(LANE), M = s->n_modes, L = s->length, H = s->width, P = 2 * M * W;
    const ptrdiff_t n_stretches = (L + STRETCH - 1) / STRETCH;
    REAL *lambda = aligned(scratch), *C = lambda + P, *S = C + P, *D = S + P, *u = D + W, *slope = u + (STRETCH + 1) * W;
    REAL *jump = slope + STRETCH * W, *y = jump + STRETCH * W, a[STRETCH];
    FN(clock) clock;
    VEC *d = aligned(y + STRETCH * W);
    FN(polynomials) *polynomials = aligned(d + STRETCH * (MOST_POWERS + 2));
    FN(mode) *modes = (FN(mode) *)(polynomials + (M + PAIR - 1) / PAIR);
    for (ptrdiff_t item = first; item < last; item++) {
        const item_t i = item_of(s, item, W);
        const ptrdiff_t length = s->lengths[i.b];
        const double *steps = s->step + i.b * L;
        const pace_t pace = pace_of(length, steps, TYPED(FARTHEST));
        const double slow = FN(prepare)(s, i, pace, lambda, C, D, modes, polynomials);
        REAL *state = (REAL *)s->state + i.b * 2 * M * H + i.h;
        FN(gather)(2 * M, H, i.n, W, state, S);
        FN(rescale)(P, 1 / pace.unit, S);
        for (ptrdiff_t k = 0; k < length; k += STRETCH) {
            const ptrdiff_t n = length - k < STRETCH ? length - k : STRETCH;
            FN(ticks)(n, steps + k, pace, &clock);
            const int how = FN(how)(slow, pace.reach, &clock);
            if (s->kept != NULL)
                FN(scatter)(2 * M, H, i.n, W, S, (REAL *)s->kept + (i.b * n_stretches + k / STRETCH) * 2 * M * H + i.h);
            FN(inputs)(s, i, k, n, &clock, u, slope, jump);
            if (slow >= 0)
                FN(moments)(POWERS(how), n, &clock, s->held ? u + W : u, slope, a, d);
            if (k == 0)
                FN(exchange)(0, M, modes, u, S);
            for (ptrdiff_t r = 0; r < n; r++)
                *(VEC *)(y + r * W) = *(const VEC *)(u + (r + 1) * W) * *(const VEC *)D;
            for (ptrdiff_t j = 0; j < M; j += PAIR) {
                const FN(mode) *m = modes + j;
                FN(states) q, x;
                FN(polynomials) *of = polynomials + j / PAIR;
                FN(apart)(M, j, m, S, &q, &x);
                const int range = FN(ready)(&clock, how, m, of);
                if (FN(fastest)(m) > 0)
                    TRAVEL(range, m, of, n, &clock, s->held, slope, jump, q.re, q.im, y, NULL)
                if (FN(slowest)(m) >= 0)
                    CRAWL(how, m, of, n, &clock, a, d, u, slope, x.re, x.im, y, NULL)
                FN(together)(M, j, m, &q, &x, S);
            }
            FN(scatter)(n, H, i.n, W, y, (REAL *)s->y + (i.b * L + k) * H + i.h);
            if (k + n == length)
                FN(exchange)(1, M, modes, u + n * W, S);
        }
        FN(rescale)(P, pace.unit, S);
        FN(scatter)(2 * M, H, i.n, W, S, state);
    }
}
