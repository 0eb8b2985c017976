/* Diagonal state spaces whose steps differ: e^z is another one in each of them. See ssm.h and each_simd.h. */

/* A stretch: u[0] is the input before it. Inputs rise by their slopes, and jump where they are held, or take no time. Steps are
 * no longer than 2 c. */
static void FN(inputs)(const space_t *s, item_t i, ptrdiff_t k, ptrdiff_t n, double c, REAL *u, REAL *slope, REAL *jump,
                       FN(clock) *clock)
{
    const ptrdiff_t W = FN(LANE), H = s->width, at = (i.b * s->length + k) * H + i.h;
    FN(gather)(1, H, i.n, W, k > 0 ? (const REAL *)s->u + at - H : (const REAL *)s->before + i.b * H + i.h, u);
    FN(gather)(n, H, i.n, W, (const REAL *)s->u + at, u + W);
    const double *steps = clock->steps = s->step + i.b * s->length + k;
    for (ptrdiff_t r = 0; r < n; r++) {
        const int rises = steps[r] > 0 && !s->held;
        const REAL inverse = rises ? (REAL)(1 / steps[r]) : 0;
        const double cell = 2 * c / CELLS;
        const int k = steps[r] < 2 * c ? (int)(steps[r] / cell) : CELLS - 1;
        clock->place[r] = (REAL)(steps[r] / c - 1), clock->cell[r] = k;
        clock->rest[r] = (REAL)(steps[r] - cell * k), clock->rest_place[r] = (REAL)(2 * (steps[r] / cell - k) - 1);
        for (ptrdiff_t l = 0; l < W; l++) {
            const REAL more = u[(r + 1) * W + l] - u[r * W + l];
            slope[r * W + l] = inverse * more, jump[r * W + l] = rises ? 0 : more;
        }
    }
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
#define TRAVEL(center, m, of, ...) \
    switch (FN(ready)(center, m, of)) { \
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
    REAL *jump = slope + STRETCH * W, *y = jump + STRETCH * W, weight[STRETCH * (MOST_POWERS + 2)];
    FN(clock) clock;
    VEC *c = aligned(y + STRETCH * W);
    FN(polynomials) *polynomials = aligned(c + STRETCH * (MOST_POWERS + 1));
    FN(mode) *modes = (FN(mode) *)(polynomials + (M + PAIR - 1) / PAIR);
    for (ptrdiff_t item = first; item < last; item++) {
        const item_t i = item_of(s, item, W);
        const ptrdiff_t length = s->lengths[i.b];
        const FN(bounds) bounds = FN(bounds_of)(s, i.b);
        FN(gather_set)(s, i, 2 * M, s->rate, lambda), FN(gather_set)(s, i, 2 * M, s->read, C);
        FN(gather_set)(s, i, 1, s->pass, D);
        const double slow = FN(load_modes)(M, lambda, C, i.n, bounds, D, modes, polynomials);
        REAL *state = (REAL *)s->state + i.b * 2 * M * H + i.h;
        FN(gather)(2 * M, H, i.n, W, state, S);
        for (ptrdiff_t k = 0; k < length; k += STRETCH) {
            const ptrdiff_t n = length - k < STRETCH ? length - k : STRETCH;
            const double *steps = s->step + i.b * L + k, longest = FN(longest)(n, steps), center = center_of(longest, bounds.longest);
            const int few = slow * longest < FEW;
            if (s->kept != NULL)
                FN(scatter)(2 * M, H, i.n, W, S, (REAL *)s->kept + (i.b * n_stretches + k / STRETCH) * 2 * M * H + i.h);
            FN(inputs)(s, i, k, n, center, u, slope, jump, &clock);
            if (slow > 0)
                FN(weigh)(POWERS(few), n, steps, s->held ? u + W : u, slope, weight, c);
            if (k == 0)
                FN(exchange)(0, M, modes, u, S);
            for (ptrdiff_t r = 0; r < n; r++)
                *(VEC *)(y + r * W) = *(const VEC *)(u + (r + 1) * W) * *(const VEC *)D;
            for (ptrdiff_t j = 0; j < M; j += PAIR) {
                const FN(mode) *m = modes + j;
                FN(states) q, x;
                FN(apart)(M, j, m, S, &q, &x);
                if (FN(fastest)(m) > 0)
                    TRAVEL(center, m, polynomials + j / PAIR, n, &clock, s->held, slope, jump, q.re, q.im, y, NULL)
                for (int p = 0; p < PAIR; p++)
                    if (m[p].slow > 0)
                        CRAWL(few, m + p, n, weight, c, x.re + p, x.im + p, y, NULL);
                FN(together)(M, j, m, &q, &x, S);
            }
            FN(scatter)(n, H, i.n, W, y, (REAL *)s->y + (i.b * L + k) * H + i.h);
            if (k + n == length)
                FN(exchange)(1, M, modes, u + n * W, S);
        }
        FN(scatter)(2 * M, H, i.n, W, S, state);
    }
}
