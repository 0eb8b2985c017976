/* Slow modes of state spaces whose steps differ. See ssm.h and each_simd.h.
 *
 * With e^(lambda t) = sum_k p_k t^k, p_0 = 1, and the moments of the input over a step, which are of no mode,
 *
 *     x+ = x + (e^(lambda h) - 1) x + sum_k p_k d_k,   d_k = int_0^h t^k u(h - t) dt,
 *
 * where u is v at first and rises by its slope s: d_k = v h^(k+1) / (k+1) + s h^(k+2) / ((k+1) (k+2)). The derivatives by lambda are
 * h e^(lambda h) and sum_k p_k d_(k+1). In t^k, time is counted in spans, which most steps do not
 * exceed. The others are doubled spans: see `leap`. */

/* Powers that are enough; see `powers_of`. */
#define POWERS(how) (sizeof(REAL) == 4 ? ((how) == FEW_POWERS ? 3 : 4) : (how) == FEW_POWERS ? 7 : MOST_POWERS)

static const REAL FN(inverse)[] = {
    0, 1, (REAL)(1. / 2), (REAL)(1. / 3), (REAL)(1. / 4), (REAL)(1. / 5), (REAL)(1. / 6), (REAL)(1. / 7), (REAL)(1. / 8), (REAL)(1. / 9),
    (REAL)(1. / 10), (REAL)(1. / 11), (REAL)(1. / 12)};

/* Steps in spans, a, and moments, (n, MOST_POWERS + 2, LANE), of a stretch; 0 of longer ones. */
TARGET static void FN(moments)(int powers, ptrdiff_t n, const FN(clock) *clock, const REAL *v, const REAL *slope, REAL *a, VEC *d)
{
    for (ptrdiff_t r = 0; r < n; r++, d += MOST_POWERS + 2) {
        const double h = clock->steps[r] > clock->span ? 0 : clock->steps[r];
        const VEC start = *(const VEC *)(v + r * FN(LANE)), rise = *(const VEC *)(slope + r * FN(LANE)) * (REAL)h;
        a[r] = h > 0 ? (REAL)(h / clock->span) : 0;
        REAL product = (REAL)h;
        for (int k = 0; k <= powers + 1; k++, product *= a[r])
            d[k] = (start + rise * FN(inverse)[k + 2]) * (product * FN(inverse)[k + 1]);
    }
}

/* The adjoint: gradients of moments become those of v and of slopes, which they are added to. */
TARGET static void FN(from_moments)(int powers, ptrdiff_t n, const double *steps, const REAL *a, const VEC *of_d, REAL *of_v, REAL *of_slope)
{
    for (ptrdiff_t r = 0; r < n; r++, of_d += MOST_POWERS + 2) {
        VEC of_start = {0}, of_rise = {0};
        REAL product = (REAL)steps[r];
        for (int k = 0; k <= powers; k++, product *= a[r]) {
            const VEC part = of_d[k] * (product * FN(inverse)[k + 1]);
            of_start += part, of_rise += part * FN(inverse)[k + 2];
        }
        *(VEC *)(of_v + r * FN(LANE)) += of_start;
        *(VEC *)(of_slope + r * FN(LANE)) += of_rise * (REAL)steps[r];
    }
}

/* p_k of a mode. (e^(lambda t) - 1) / t is taken by MORE terms than there are powers, one after the
 * other without the part in which T_n is, the polynomial that begins with t^n and is nearest to zero in a span. */
TARGET static void FN(powers_of)(int powers, const FN(mode) *m, double span, VEC *re, VEC *im)
{
    const VEC zr = m->lr * (REAL)span, zi = m->li * (REAL)span;
    re[0] = (VEC){0} + 1, im[0] = (VEC){0};
    for (int k = 1; k <= powers + MORE; k++) {
        re[k] = (zr * re[k - 1] - zi * im[k - 1]) * FN(inverse)[k];
        im[k] = (zr * im[k - 1] + zi * re[k - 1]) * FN(inverse)[k];
    }
    for (int n = powers + MORE - 1; n >= powers; n--) {
        double part = 1;  /* of t^k in T_n, the Chebyshev polynomial of 2 t - 1 */
        for (int k = n - 1; k >= 0; k--) {
            part *= -(k + 1.) * (2 * k + 1.) / (2. * (n - k) * (n + k));
            re[k + 1] -= (REAL)part * re[n + 1], im[k + 1] -= (REAL)part * im[n + 1];
        }
    }
}

/* e^(lambda h) - 1, and A_n = int_0^h t^n e^(lambda t) dt, of a step that is longer than a span: those of a part of it, doubled. */
typedef struct {
    VEC er, ei, re[3], im[3];
} FN(long_step);

TARGET static FN(long_step) FN(leap)(int powers, const VEC *pr, const VEC *pi, double span, double h)
{
    int doublings = 0;
    for (; h > span; h /= 2)
        doublings++;
    const REAL a = (REAL)(h / span);
    REAL product = 1;
    FN(long_step) l = {0};
    for (int k = 0; k <= powers; k++, product *= a) {
        REAL length = (REAL)h;
        for (int n = 0; n < 3; n++, length *= (REAL)h)
            l.re[n] += pr[k] * (product * length * FN(inverse)[k + n + 1]), l.im[n] += pi[k] * (product * length * FN(inverse)[k + n + 1]);
        if (k > 0)
            l.er += pr[k] * product, l.ei += pi[k] * product;
    }
    for (REAL t = (REAL)h; doublings > 0; doublings--, t *= 2) {
        for (int n = 2; n >= 0; n--) {  /* the second half is e^(lambda t) int_0^t (t + s)^n e^(lambda s) ds */
            const REAL first = n == 2 ? 2 * t : n == 1 ? t : 0, zeroth = n == 2 ? t * t : 0;
            const int below = n > 0 ? n - 1 : 0;
            const VEC re = l.re[n] + first * l.re[below] + zeroth * l.re[0];
            const VEC im = l.im[n] + first * l.im[below] + zeroth * l.im[0];
            l.re[n] += re + l.er * re - l.ei * im, l.im[n] += im + l.er * im + l.ei * re;
        }
        const VEC next = 2 * l.er + l.er * l.er - l.ei * l.ei;
        l.ei = 2 * l.ei + 2 * l.er * l.ei, l.er = next;
    }
    return l;
}

/* (E16) for PAIR slow modes through a stretch, as `travel`. */
INLINE void FN(crawl)(const int powers, const int leaps, const FN(mode) *m, const FN(polynomials) *of, ptrdiff_t n, const FN(clock) *clock,
                      const REAL *a, const VEC *d, const REAL *u, const REAL *slope, VEC *re, VEC *im, REAL *y, VEC *path)
{
    UNROLL
    for (int p = 0; path != NULL && p < PAIR; p++)
        path[4 * p] = re[p], path[4 * p + 1] = im[p];
    for (ptrdiff_t r = 0; r < n; r++, d += MOST_POWERS + 2) {
        VEC er[PAIR], ei[PAIR];
        UNROLL
        for (int p = 0; p < PAIR; p++) {
            const VEC *pr = of->power_re[p], *pi = of->power_im[p];
            VEC more_re, more_im;
            if (leaps && clock->steps[r] > clock->span) {
                const FN(long_step) l = FN(leap)(powers, pr, pi, clock->span, clock->steps[r]);
                const VEC end = *(const VEC *)(u + (r + 1) * FN(LANE)), s = *(const VEC *)(slope + r * FN(LANE));
                er[p] = l.er, ei[p] = l.ei;
                more_re = l.re[0] * end - l.re[1] * s, more_im = l.im[0] * end - l.im[1] * s;
            } else {
                more_re = pr[powers] * d[powers], more_im = pi[powers] * d[powers];
                er[p] = pr[powers], ei[p] = pi[powers];
                UNROLL
                for (int k = powers - 1; k > 0; k--) {
                    er[p] = er[p] * a[r] + pr[k], ei[p] = ei[p] * a[r] + pi[k];
                    more_re += pr[k] * d[k], more_im += pi[k] * d[k];
                }
                er[p] *= a[r], ei[p] *= a[r];
                more_re += d[0];
            }
            const VEC next = (re[p] + more_re + er[p] * re[p]) - ei[p] * im[p];
            im[p] = (im[p] + more_im + er[p] * im[p]) + ei[p] * re[p];
            re[p] = next;
        }
        if (y != NULL) {
            VEC part = *(VEC *)(y + r * FN(LANE));
            UNROLL
            for (int p = 0; p < PAIR; p++)
                part = part + m[p].cr * re[p] - m[p].ci * im[p];
            *(VEC *)(y + r * FN(LANE)) = part;
        }
        if (path != NULL) {
            VEC *now = path + 4 * PAIR * (r + 1);
            UNROLL
            for (int p = 0; p < PAIR; p++, now += 4)
                now[0] = re[p], now[1] = im[p], now[2] = er[p], now[3] = ei[p];
        }
    }
}

/* The adjoint of `crawl`: g becomes the gradient of the states before the stretch. */
INLINE void FN(uncrawl)(const int powers, const int leaps, const FN(mode) *m, const FN(polynomials) *made, ptrdiff_t n, const FN(clock) *clock,
                        const VEC *d, const REAL *u, const REAL *slope, const VEC *path, int held, FN(grads) of, VEC *of_d, VEC *gr,
                        VEC *gi, FN(sums) *t)
{
    VEC kr[PAIR] = {0}, ki[PAIR] = {0};
    for (ptrdiff_t r = n - 1; r >= 0; r--) {
        const VEC *last = path + 4 * PAIR * r, *now = last + 4 * PAIR, gy = *(const VEC *)(of.y + r * FN(LANE));
        const VEC *moment = d + (MOST_POWERS + 2) * r;
        VEC *of_moment = of_d + (MOST_POWERS + 2) * r;
        const REAL h = (REAL)clock->steps[r];
        UNROLL
        for (int p = 0; p < PAIR; p++) {
            const VEC *pr = made->power_re[p], *pi = made->power_im[p], er = now[4 * p + 2], ei = now[4 * p + 3];
            t[p].cr += gy * now[4 * p], t[p].ci -= gy * now[4 * p + 1];
            gr[p] += gy * m[p].cr, gi[p] -= gy * m[p].ci;
            if (leaps && clock->steps[r] > clock->span) {
                const FN(long_step) l = FN(leap)(powers, pr, pi, clock->span, clock->steps[r]);
                const VEC end = *(const VEC *)(u + (r + 1) * FN(LANE)), s = *(const VEC *)(slope + r * FN(LANE));
                const VEC dr = l.re[1] * end - l.re[2] * s, di = l.im[1] * end - l.im[2] * s;
                const VEC of_end = l.re[0] * gr[p] + l.im[0] * gi[p];
                t[p].lr += dr * gr[p] + di * gi[p], t[p].li += dr * gi[p] - di * gr[p];
                *(VEC *)(of.v + r * FN(LANE)) += of_end;
                if (!held)
                    *(VEC *)(of.slope + r * FN(LANE)) += h * of_end - (l.re[1] * gr[p] + l.im[1] * gi[p]);
            } else {
                VEC dr = moment[1], di = {0};
                of_moment[0] += gr[p];
                UNROLL
                for (int k = 1; k <= powers; k++) {
                    of_moment[k] = of_moment[k] + pr[k] * gr[p] + pi[k] * gi[p];
                    if (k < powers)  /* one less is enough */
                        dr += pr[k] * moment[k + 1], di += pi[k] * moment[k + 1];
                }
                kr[p] = kr[p] + dr * gr[p] + di * gi[p], ki[p] = ki[p] + dr * gi[p] - di * gr[p];
            }
            const VEC xr = h * last[4 * p], xi = h * last[4 * p + 1], br = er * gr[p] + ei * gi[p], bi = er * gi[p] - ei * gr[p];
            gr[p] += br, gi[p] += bi;
            t[p].lr = t[p].lr + xr * gr[p] + xi * gi[p], t[p].li = t[p].li + xr * gi[p] - xi * gr[p];
        }
    }
    for (int p = 0; p < PAIR; p++)
        t[p].lr += (REAL)clock->span * kr[p], t[p].li += (REAL)clock->span * ki[p];
}

/* `crawl` and `uncrawl`, as it is enough. */
#define CRAWL(how, ...) \
    switch (how) { \
    case FEW_POWERS: FN(crawl)(POWERS(FEW_POWERS), 0, __VA_ARGS__); break; \
    case MANY_POWERS: FN(crawl)(POWERS(MANY_POWERS), 0, __VA_ARGS__); break; \
    default: FN(crawl)(POWERS(MANY_POWERS), 1, __VA_ARGS__); \
    }
#define UNCRAWL(how, ...) \
    switch (how) { \
    case FEW_POWERS: FN(uncrawl)(POWERS(FEW_POWERS), 0, __VA_ARGS__); break; \
    case MANY_POWERS: FN(uncrawl)(POWERS(MANY_POWERS), 0, __VA_ARGS__); break; \
    default: FN(uncrawl)(POWERS(MANY_POWERS), 1, __VA_ARGS__); \
    }
