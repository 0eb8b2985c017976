/* The modes of diagonal state spaces whose steps differ, and what a step makes of them. See ssm.h and each_simd.h. */

/* One mode of some channels: of those that are slow, and of the others, with zeros in the place of the rest. No vector of them
 * lies across two lines of the cache. */
typedef struct __attribute__((aligned(64))) {
    VEC lr, li, cr, ci;          /* lambda, 2 C */
    VEC fr, fi, mr, mi, dr, di;  /* lambda, mu, 2 C mu^2 */
    BITS is_slow;
    double slow, fast;           /* the greatest |lambda| of each, -1 or 0 if there are none */
} FN(mode);

/* What the adjoint of a mode sums up: of lambda and 2 C where it is slow, and of lambda, mu and 2 C mu^2 elsewhere. */
typedef struct {
    VEC lr, li, cr, ci, fr, fi, mr, mi, dr, di;
} FN(sums);

/* The gradients of a stretch: of y, and what is added to those of v, of slopes and of jumps. */
typedef struct {
    const REAL *y;
    REAL *v, *slope, *jump;
} FN(grads);

/* (e^z - 1) / h of PAIR modes and steps h from 0 to 2 c as a polynomial in h / c - 1. Where modes are LARGE, it is of the CELLS-th
 * part of c, and there is e^z - 1 of as many steps from 0 on. */
typedef struct __attribute__((aligned(64))) {
    VEC re[PAIR][MOST_TERMS], im[PAIR][MOST_TERMS], cell_re[PAIR][CELLS], cell_im[PAIR][CELLS];
    VEC power_re[PAIR][MOST_POWERS + MORE + 1], power_im[PAIR][MOST_POWERS + MORE + 1];  /* of slow ones, slow_body.h */
    double c;  /* -1 before there is one */
} FN(polynomials);

/* The steps of a stretch, c (1 + place), and what is left of them behind the beginning of their cells. */
typedef struct {
    double steps[STRETCH], c, span;  /* span: up to which slow modes go by their powers at once */
    REAL place[STRETCH], rest[STRETCH], rest_place[STRETCH];
    int cell[STRETCH];
} FN(clock);

/* All modes of an item; what the others' outputs have too much of the input is taken from D. Slow ones are those
 * whose |lambda| is less than the bound. Returns the greatest |lambda| of them, -1 if there are none. */
TARGET static double FN(load_modes)(ptrdiff_t n_modes, const REAL *lambda, const REAL *C, ptrdiff_t n, double bound, REAL *D,
                                    FN(mode) *m, FN(polynomials) *polynomials)
{
    double slow_ones = -1;
    const ptrdiff_t W = FN(LANE), M = n_modes * W;
    const VEC none = {0};
    for (ptrdiff_t j = 0; j < n_modes; j++, lambda += W, C += W, m++) {
        const VEC lr = *(const VEC *)lambda, li = *(const VEC *)(lambda + M);
        const VEC cr = 2 * *(const VEC *)C, ci = 2 * *(const VEC *)(C + M);
        const BITS slow = m->is_slow = BELOW(lr * lr + li * li, none + (REAL)bound * (REAL)bound);
        m->lr = FN(choose)(slow, lr, none), m->li = FN(choose)(slow, li, none);
        m->cr = FN(choose)(slow, cr, none), m->ci = FN(choose)(slow, ci, none);
        m->fr = FN(choose)(slow, none, lr), m->fi = FN(choose)(slow, none, li);
        const VEC norm = 1 / FN(choose)(slow, none + 1, lr * lr + li * li);
        m->mr = m->fr * norm, m->mi = -m->fi * norm;
        const VEC kr = cr * m->mr - ci * m->mi, ki = cr * m->mi + ci * m->mr;
        m->dr = kr * m->mr - ki * m->mi, m->di = kr * m->mi + ki * m->mr;
        *(VEC *)D -= kr;  /* x = mu (mu r - u) */
        m->slow = -1, m->fast = 0;
        for (ptrdiff_t i = 0; i < n; i++) {
            const double re = lambda[i], im = lambda[M + i], size = re * re + im * im;
            double *greatest = ((const REAL *)&m->fr)[i] == 0 && ((const REAL *)&m->fi)[i] == 0 ? &m->slow : &m->fast;
            *greatest = size > *greatest ? size : *greatest;
        }
        m->slow = m->slow < 0 ? -1 : sqrt(m->slow), m->fast = sqrt(m->fast);
        slow_ones = m->slow > slow_ones ? m->slow : slow_ones;
        polynomials[j / PAIR].c = -1;
    }
    memset(m, 0, (PAIR - 1) * sizeof *m);  /* one that is nothing, if they are not pairs */
    for (int p = 0; p < PAIR - 1; p++)
        m[p].slow = -1;
    return slow_ones;
}

/* e^z - 1 of modes that are not slow. */
INLINE void FN(growth)(const int range, const FN(mode) *m, REAL h, VEC *re, VEC *im)
{
    if (range < ENDLESS) {
        VEC sine, cosine;
        FN(turn)(m->fi * (h * (REAL)0.5), &sine, &cosine);
        FN(grow)(FN(shrink)(m->fr * h), sine, cosine, re, im);
        return;
    }
    for (ptrdiff_t l = 0; l < FN(LANE); l++) {
        const REAL x = ((const REAL *)&m->fr)[l] * h, y = ((const REAL *)&m->fi)[l] * h;
        const double f = expm1(x), half = sin(0.5 * y);
        ((REAL *)re)[l] = (REAL)(f - 2 * (f + 1) * half * half), ((REAL *)im)[l] = (REAL)((f + 1) * sin(y));
    }
}

/* The polynomial of a mode, in x = h / c - 1. It is lambda times the integral over s from 0 to 1 of e^(s w) e^(s w x),
 * w = lambda c: a series of w^n x^n / n! J_n with J_(n-1) = (lambda e^w - w J_n) / n. MORE terms than the degree are taken, one
 * after the other without the part in which T_n / 2^(n-1) is, the polynomial that begins with x^n and is nearest to zero. */
TARGET static void FN(expand)(int degree, const FN(mode) *m, REAL c, VEC *re, VEC *im)
{
    const int top = degree + MORE, first = top + 3;  /* from where J_n is about what its end makes of it */
    const VEC wr = m->fr * c, wi = m->fi * c;
    VEC gr, gi, pr = {0}, pi = {0};
    FN(growth)(FAR, m, c, &gr, &gi);
    const VEC er = (m->fr + gr * m->fr) - gi * m->fi, ei = (m->fi + gr * m->fi) + gi * m->fr;
    VEC jr = er * (1 / (REAL)(first + 1)), ji = ei * (1 / (REAL)(first + 1));
    for (int n = first; n > 0; n--) {
        const VEC next = (er - (wr * jr - wi * ji)) * (1 / (REAL)n);
        ji = (ei - (wr * ji + wi * jr)) * (1 / (REAL)n), jr = next;
        if (n <= top + 1)
            re[n - 1] = jr, im[n - 1] = ji;
    }
    pr += 1;
    for (int n = 1; n <= top; n++) {
        const VEC power = (wr * pr - wi * pi) * (1 / (REAL)n), term = re[n];
        pi = (wr * pi + wi * pr) * (1 / (REAL)n), pr = power;
        re[n] = pr * term - pi * im[n], im[n] = pr * im[n] + pi * term;
    }
    for (int n = top; n > degree; n--) {
        double part = 1;  /* of x^k in T_n / 2^(n-1) */
        for (int k = n - 2, i = 1; k >= 0; k -= 2, i++) {
            part *= -(k + 2.) * (k + 1.) / (4. * i * (n - i));
            re[k] -= (REAL)part * re[n], im[k] -= (REAL)part * im[n];
        }
    }
}

/* PAIR modes that are not slow, and those that are, with zeros in the place of others; and back. */
typedef struct {
    VEC re[PAIR], im[PAIR];
} FN(states);

INLINE void FN(apart)(ptrdiff_t n_modes, ptrdiff_t j, const FN(mode) *m, const REAL *S, FN(states) *q, FN(states) *x)
{
    const ptrdiff_t W = FN(LANE);
    const VEC none = {0};
    for (int p = 0; p < PAIR; p++, j++) {
        const VEC re = j < n_modes ? *(const VEC *)(S + j * W) : none;
        const VEC im = j < n_modes ? *(const VEC *)(S + (n_modes + j) * W) : none;
        q->re[p] = FN(choose)(m[p].is_slow, none, re), q->im[p] = FN(choose)(m[p].is_slow, none, im);
        x->re[p] = FN(choose)(m[p].is_slow, re, none), x->im[p] = FN(choose)(m[p].is_slow, im, none);
    }
}

INLINE void FN(together)(ptrdiff_t n_modes, ptrdiff_t j, const FN(mode) *m, const FN(states) *q, const FN(states) *x, REAL *S)
{
    const ptrdiff_t W = FN(LANE);
    for (int p = 0; p < PAIR && j < n_modes; p++, j++) {
        *(VEC *)(S + j * W) = FN(choose)(m[p].is_slow, x->re[p], q->re[p]);
        *(VEC *)(S + (n_modes + j) * W) = FN(choose)(m[p].is_slow, x->im[p], q->im[p]);
    }
}
