/* Slow modes of state spaces whose steps differ, by their powers. See ssm.h and each_simd.h.
 *
 * In a step h in which the input is v at first and rises by its slope s,
 *
 *     x+ = x + sum_(n > 0) lambda^n h^n / n! x + sum_n lambda^n c_n,   c_n = h^(n+1) / (n+1)! v + h^(n+2) / (n+2)! s,
 *
 * where no weight h^n / n! and no c_n is of a mode: they are computed once for all modes of a stretch. The derivative by lambda is
 * h (e^z x) + sum_n n lambda^(n-1) c_n. */

/* Powers that are enough in a stretch, and one more for the derivative: what is left out is r^n / (n + 1)!. */
#define POWERS(few) (sizeof(REAL) == 4 ? ((few) ? 3 : 6) : ((few) ? 6 : MOST_POWERS))
#define FEW 0.009

/* Weights, (n, MOST_POWERS + 2), and c, (n, MOST_POWERS + 1, LANE), of a stretch. */
TARGET static void FN(weigh)(int powers, ptrdiff_t n, const double *steps, const REAL *v, const REAL *slope, REAL *weight, VEC *c)
{
    static const double inverse[] = {1., 1. / 2, 1. / 3, 1. / 4, 1. / 5, 1. / 6, 1. / 7, 1. / 8, 1. / 9, 1. / 10, 1. / 11, 1. / 12,
                                     1. / 13, 1. / 14};
    for (ptrdiff_t r = 0; r < n; r++, weight += MOST_POWERS + 2, c += MOST_POWERS + 1) {
        double product = 1;
        for (int k = 0; k < powers + 2; k++)
            weight[k] = (REAL)(product *= steps[r] * inverse[k]);
        const VEC start = *(const VEC *)(v + r * FN(LANE)), rise = *(const VEC *)(slope + r * FN(LANE));
        for (int k = 0; k <= powers; k++)
            c[k] = start * weight[k] + rise * weight[k + 1];
    }
}

/* The adjoint: gradients of c become those of v and of slopes, which they are added to. */
TARGET static void FN(unweigh)(int powers, ptrdiff_t n, const REAL *weight, const VEC *of_c, REAL *of_v, REAL *of_slope)
{
    for (ptrdiff_t r = 0; r < n; r++, weight += MOST_POWERS + 2, of_c += MOST_POWERS + 1)
        for (int k = 0; k < powers; k++) {
            *(VEC *)(of_v + r * FN(LANE)) += of_c[k] * weight[k];
            *(VEC *)(of_slope + r * FN(LANE)) += of_c[k] * weight[k + 1];
        }
}

/* lambda^n, n from 0 on. */
INLINE void FN(powers_of)(const FN(mode) *m, const int powers, VEC *re, VEC *im)
{
    re[0] = (VEC){0} + 1, im[0] = (VEC){0};
    for (int k = 0; k < powers; k++)
        re[k + 1] = re[k] * m->lr - im[k] * m->li, im[k + 1] = re[k] * m->li + im[k] * m->lr;
}

/* (E16) for a slow mode through a stretch, as `travel`. */
INLINE void FN(crawl)(const int powers, const FN(mode) *m, ptrdiff_t n, const REAL *weight, const VEC *c, VEC *re, VEC *im, REAL *y,
                      VEC *path)
{
    VEC pr[MOST_POWERS + 1], pi[MOST_POWERS + 1];
    FN(powers_of)(m, powers, pr, pi);
    if (path != NULL)
        path[0] = *re, path[1] = *im;
    for (ptrdiff_t r = 0; r < n; r++, weight += MOST_POWERS + 2, c += MOST_POWERS + 1) {
        VEC er = pr[powers] * weight[powers - 1], ei = pi[powers] * weight[powers - 1], more_re = {0}, more_im = {0};
        UNROLL
        for (int k = powers - 1; k > 0; k--) {
            er += pr[k] * weight[k - 1], ei += pi[k] * weight[k - 1];
            more_re += pr[k] * c[k], more_im += pi[k] * c[k];
        }
        const VEC next = (*re + (more_re + c[0]) + er * *re) - ei * *im;
        *im = (*im + more_im + er * *im) + ei * *re;
        *re = next;
        if (y != NULL) {
            const VEC part = *(VEC *)(y + r * FN(LANE)) + m->cr * *re;
            *(VEC *)(y + r * FN(LANE)) = part - m->ci * *im;
        }
        if (path != NULL) {
            VEC *now = path + 4 * (r + 1);
            now[0] = *re, now[1] = *im, now[2] = er, now[3] = ei;
        }
    }
}

/* The adjoint of `crawl`: g becomes the gradient of the state before the stretch. */
INLINE void FN(uncrawl)(const int powers, const FN(mode) *m, ptrdiff_t n, const double *steps, const VEC *c, const VEC *path,
                        const REAL *grad_y, VEC *of_c, VEC *gr, VEC *gi, FN(sums) *t)
{
    VEC pr[MOST_POWERS + 1], pi[MOST_POWERS + 1];
    FN(powers_of)(m, powers, pr, pi);
    for (ptrdiff_t r = n - 1; r >= 0; r--) {
        const VEC *last = path + 4 * r, *now = last + 4, *d = c + (MOST_POWERS + 1) * r, gy = *(const VEC *)(grad_y + r * FN(LANE));
        VEC *of_d = of_c + (MOST_POWERS + 1) * r;
        t->cr += gy * now[0], t->ci -= gy * now[1];
        *gr += gy * m->cr, *gi -= gy * m->ci;
        VEC dr = d[1], di = {0};
        of_d[0] += *gr;
        UNROLL
        for (int k = 1; k < powers; k++) {
            of_d[k] = of_d[k] + pr[k] * *gr + pi[k] * *gi;
            const VEC part = (REAL)(k + 1) * d[k + 1];
            dr += pr[k] * part, di += pi[k] * part;
        }
        t->lr = t->lr + dr * *gr + di * *gi, t->li = t->li + dr * *gi - di * *gr;
        const REAL h = (REAL)steps[r];
        const VEC xr = h * last[0], xi = h * last[1], er = now[2], ei = now[3], was_re = *gr, was_im = *gi;
        *gr = was_re + er * was_re + ei * was_im, *gi = was_im + er * was_im - ei * was_re;
        t->lr = t->lr + xr * *gr + xi * *gi, t->li = t->li + xr * *gi - xi * *gr;  /* and with d e^z = h e^z d lambda */
    }
}

/* `crawl` and `uncrawl`, by few powers or by many. */
#define CRAWL(few, ...) \
    if (few) \
        FN(crawl)(POWERS(1), __VA_ARGS__); \
    else \
        FN(crawl)(POWERS(0), __VA_ARGS__)
#define UNCRAWL(few, ...) \
    if (few) \
        FN(uncrawl)(POWERS(1), __VA_ARGS__); \
    else \
        FN(uncrawl)(POWERS(0), __VA_ARGS__)
