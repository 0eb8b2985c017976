/* State spaces of which every observation says how fast they are, what enters them and what is read. See ssm.h and each_simd.h.
 *
 * Modes are side by side in vectors, and each channel of a head has its own; what a step is like, all of them share. With
 * p = (e^z - 1) / lambda, of p B u and of what is read, the gradients of e^z, B and C are sums over channels, lane by lane.
 */

/* Totals of rows of one vector each: sums of neighbours, until one is left. */
WIDE static void FN(halve)(ptrdiff_t n, const REAL *restrict from, REAL *restrict to)
{
    SIMD
    for (ptrdiff_t i = 0; i < n; i++)
        to[i] = from[2 * i] + from[2 * i + 1];
}

TARGET static const REAL *FN(totals)(ptrdiff_t rows, REAL *from, REAL *to)
{
    for (int width = FN(LANE) / 2; width > 0; width /= 2) {
        FN(halve)(rows * width, from, to);
        REAL *other = from;
        from = to, to = other;
    }
    return from;
}

/* What an observation makes of the modes of a head, in scratch. */
typedef struct {
    REAL *decay;   /* (STRETCH, 2, n_modes) e^z */
    REAL *enter;   /* (STRETCH, 2, n_modes) p */
    REAL *inverse; /* (2, n_modes) 1 / lambda */
} FN(lookup);

TARGET static void FN(look_up)(const selective_t *s, ptrdiff_t b, ptrdiff_t h, ptrdiff_t k, ptrdiff_t n, FN(lookup) t)
{
    const ptrdiff_t W = FN(LANE), M = s->n_modes;
    const REAL fall = ((const REAL *)s->decay)[h], *frequency = s->frequency, *clock = s->clock;
    for (ptrdiff_t j = 0; j < M; j += W) {
        const VEC w = *(const VEC *)(frequency + j), norm = 1 / (fall * fall + w * w);
        *(VEC *)(t.inverse + j) = -fall * norm, *(VEC *)(t.inverse + M + j) = -w * norm;
    }
    for (ptrdiff_t r = 0; r < n; r++, t.decay += 2 * M, t.enter += 2 * M) {
        const double time = clock[(b * s->length + k + r) * s->n_heads + h];
        const REAL f = (REAL)expm1(-fall * time), half = (REAL)(0.5 * time);
        for (ptrdiff_t j = 0; j < M; j += W) {
            const VEC mr = *(const VEC *)(t.inverse + j), mi = *(const VEC *)(t.inverse + M + j);
            VEC sine, cosine, re, im;
            FN(turn)(*(const VEC *)(frequency + j) * half, &sine, &cosine);
            FN(grow)((VEC){0} + f, sine, cosine, &re, &im);
            *(VEC *)(t.decay + j) = 1 + re, *(VEC *)(t.decay + M + j) = im;
            *(VEC *)(t.enter + j) = re * mr - im * mi, *(VEC *)(t.enter + M + j) = re * mi + im * mr;
        }
    }
}

/* Numbers of some modes in an observation: e^z, p, B, p B, 2 C. */
typedef struct {
    VEC er, ei, pr, pi, Br, Bi, br, bi, cr, ci;
} FN(entry);

INLINE FN(entry) FN(entry_at)(ptrdiff_t j, ptrdiff_t M, const REAL *decay, const REAL *enter, const REAL *B, const REAL *C)
{
    const VEC pr = *(const VEC *)(enter + j), pi = *(const VEC *)(enter + M + j);
    const VEC Br = *(const VEC *)(B + j), Bi = *(const VEC *)(B + M + j);
    return (FN(entry)){*(const VEC *)(decay + j), *(const VEC *)(decay + M + j), pr, pi, Br, Bi, pr * Br - pi * Bi,
                       pr * Bi + pi * Br, 2 * *(const VEC *)(C + j), 2 * *(const VEC *)(C + M + j)};
}

/* One observation: the states `to` of a head's channels from those before, and, if they are wanted, parts of the outputs. */
INLINE void FN(observe)(const int wanted, ptrdiff_t M, ptrdiff_t n, const REAL *decay, const REAL *enter, const REAL *B,
                        const REAL *C, const REAL *u, const REAL *from, REAL *to, REAL *parts)
{
    const ptrdiff_t W = FN(LANE);
    for (ptrdiff_t j = 0; j < M; j += W) {
        const FN(entry) t = FN(entry_at)(j, M, decay, enter, B, C);
        for (ptrdiff_t d = 0; d < n; d++) {
            const REAL *x = from + 2 * d * M + j;
            const VEC xr = *(const VEC *)x, xi = *(const VEC *)(x + M);
            const VEC re = t.er * xr - t.ei * xi + t.br * u[d], im = t.er * xi + t.ei * xr + t.bi * u[d];
            *(VEC *)(to + 2 * d * M + j) = re, *(VEC *)(to + (2 * d + 1) * M + j) = im;
            if (wanted) {
                const VEC part = t.cr * re - t.ci * im;
                VEC *sum = (VEC *)(parts + d * W);
                if (j)
                    *sum += part;
                else
                    *sum = part;
            }
        }
    }
}

TARGET static void FN(selective_forward)(const selective_t *s, ptrdiff_t first, ptrdiff_t last, void *scratch)
{
    const ptrdiff_t W = FN(LANE), M = s->n_modes, L = s->length, D = s->width, H = s->n_heads, n = D / H, P = 2 * M * n;
    const ptrdiff_t n_stretches = (L + SPELL - 1) / SPELL;
    FN(lookup) t;
    t.decay = aligned(scratch), t.enter = t.decay + 2 * M * SPELL, t.inverse = t.enter + 2 * M * SPELL;
    REAL *parts = t.inverse + 2 * M, *other = parts + (n + 1) * W;
    for (ptrdiff_t item = first; item < last; item++) {
        const ptrdiff_t b = item / H, h = item % H, length = s->lengths[b];
        const REAL *through = (const REAL *)s->through + h * n;
        REAL *x = (REAL *)s->state + item * P;
        for (ptrdiff_t k = 0; k < length; k += SPELL) {
            const ptrdiff_t rows = length - k < SPELL ? length - k : SPELL;
            if (s->kept != NULL)
                memcpy((REAL *)s->kept + (item * n_stretches + k / SPELL) * P, x, P * sizeof(REAL));
            FN(look_up)(s, b, h, k, rows, t);
            for (ptrdiff_t r = 0; r < rows; r++) {
                const ptrdiff_t row = b * L + k + r, at = row * D + h * n;
                FN(observe)(1, M, n, t.decay + 2 * M * r, t.enter + 2 * M * r, (const REAL *)s->B + 2 * M * row,
                            (const REAL *)s->C + 2 * M * row, (const REAL *)s->u + at, x, x, parts);
                const REAL *sums = FN(totals)(n, parts, other), *u = (const REAL *)s->u + at;
                for (ptrdiff_t d = 0; d < n; d++)
                    ((REAL *)s->y)[at + d] = sums[d] + through[d] * u[d];
            }
        }
    }
}

/* The adjoint of an observation: g becomes the gradient of the states before it, `from`; `to` are those behind it. Of u and,
 * in the last row, of the time there are parts; those of the rate, B and C are added up over the channels. */
INLINE void FN(unobserve)(const selective_t *s, ptrdiff_t n, REAL fall, REAL time, const REAL *decay, const REAL *enter, const REAL *inverse,
                          const REAL *B, const REAL *C, const REAL *u, const REAL *grad_y, const REAL *from, const REAL *to,
                          REAL *g, REAL *parts, REAL *grad_rate, REAL *grad_B, REAL *grad_C)
{
    const ptrdiff_t W = FN(LANE), M = s->n_modes;
    for (ptrdiff_t j = 0; j < M; j += W) {
        const FN(entry) t = FN(entry_at)(j, M, decay, enter, B, C);
        VEC of_er = {0}, of_ei = {0}, of_br = {0}, of_bi = {0}, of_cr = {0}, of_ci = {0};
        for (ptrdiff_t d = 0; d < n; d++) {
            const ptrdiff_t re = 2 * d * M + j, im = re + M;
            const VEC gr = *(const VEC *)(g + re) + t.cr * grad_y[d], gi = *(const VEC *)(g + im) - t.ci * grad_y[d];
            const VEC xr = *(const VEC *)(from + re), xi = *(const VEC *)(from + im);
            of_cr += grad_y[d] * *(const VEC *)(to + re), of_ci -= grad_y[d] * *(const VEC *)(to + im);
            of_br += gr * u[d], of_bi += gi * u[d];
            of_er += gr * xr + gi * xi, of_ei += gi * xr - gr * xi;
            const VEC part = t.br * gr + t.bi * gi;
            VEC *sum = (VEC *)(parts + d * W);
            if (j)
                *sum += part;
            else
                *sum = part;
            *(VEC *)(g + re) = t.er * gr + t.ei * gi, *(VEC *)(g + im) = t.er * gi - t.ei * gr;
        }
        *(VEC *)(grad_C + j) += 2 * of_cr, *(VEC *)(grad_C + M + j) += 2 * of_ci;
        *(VEC *)(grad_B + j) += t.pr * of_br + t.pi * of_bi, *(VEC *)(grad_B + M + j) += t.pr * of_bi - t.pi * of_br;
        /* Of p = (e^z - 1) / lambda: d p = e^z d time + (time e^z - p) / lambda d lambda; d e^z = e^z (lambda d time + time d lambda). */
        const VEC of_pr = t.Br * of_br + t.Bi * of_bi, of_pi = t.Br * of_bi - t.Bi * of_br;
        const VEC ar = t.er * of_er + t.ei * of_ei, ai = t.er * of_ei - t.ei * of_er, w = *(const VEC *)((const REAL *)s->frequency + j);
        const VEC ways = w * ai - fall * ar + t.er * of_pr + t.ei * of_pi;
        VEC *of_time = (VEC *)(parts + n * W);
        if (j)
            *of_time += ways;
        else
            *of_time = ways;
        const VEC mr = *(const VEC *)(inverse + j), mi = *(const VEC *)(inverse + M + j);
        const VEC qr = time * t.er - t.pr, qi = time * t.ei - t.pi, vr = qr * mr - qi * mi, vi = qr * mi + qi * mr;
        *(VEC *)(grad_rate + j) += time * ar + vr * of_pr + vi * of_pi;
        *(VEC *)(grad_rate + M + j) += time * ai + vr * of_pi - vi * of_pr;
    }
}

TARGET static void FN(selective_backward)(const selective_t *s, ptrdiff_t first, ptrdiff_t last, void *scratch)
{
    const ptrdiff_t W = FN(LANE), M = s->n_modes, L = s->length, D = s->width, H = s->n_heads, n = D / H, P = 2 * M * n;
    const ptrdiff_t n_stretches = (L + SPELL - 1) / SPELL;
    FN(lookup) t;
    t.decay = aligned(scratch), t.enter = t.decay + 2 * M * SPELL, t.inverse = t.enter + 2 * M * SPELL;
    REAL *parts = t.inverse + 2 * M, *other = parts + (n + 1) * W, *states = other + (n + 1) * W;
    for (ptrdiff_t item = first; item < last; item++) {
        const ptrdiff_t b = item / H, h = item % H, length = s->lengths[b];
        const REAL fall = ((const REAL *)s->decay)[h], *through = (const REAL *)s->through + h * n;
        REAL *of_through = (REAL *)s->grad_through + item * n;
        REAL *g = (REAL *)s->grad_state + item * P, *of_rate = (REAL *)s->grad_rate + item * 2 * M;
        for (ptrdiff_t k = (length - 1) / SPELL * SPELL; k >= 0 && length > 0; k -= SPELL) {
            const ptrdiff_t rows = length - k < SPELL ? length - k : SPELL;
            memcpy(states, (const REAL *)s->kept + (item * n_stretches + k / SPELL) * P, P * sizeof(REAL));
            FN(look_up)(s, b, h, k, rows, t);
            for (ptrdiff_t r = 0; r < rows; r++) {
                const ptrdiff_t row = b * L + k + r;
                FN(observe)(0, M, n, t.decay + 2 * M * r, t.enter + 2 * M * r, (const REAL *)s->B + 2 * M * row,
                            (const REAL *)s->C + 2 * M * row, (const REAL *)s->u + row * D + h * n, states + r * P,
                            states + (r + 1) * P, NULL);
            }
            for (ptrdiff_t r = rows - 1; r >= 0; r--) {
                const ptrdiff_t row = b * L + k + r, at = row * D + h * n;
                const REAL *u = (const REAL *)s->u + at, *grad_y = (const REAL *)s->grad_y + at;
                REAL *of_B = (REAL *)s->grad_B + 2 * M * row, *of_C = (REAL *)s->grad_C + 2 * M * row;
                if (h == 0)
                    memset(of_B, 0, 2 * M * sizeof(REAL)), memset(of_C, 0, 2 * M * sizeof(REAL));
                FN(unobserve)(s, n, fall, ((const REAL *)s->clock)[row * H + h], t.decay + 2 * M * r, t.enter + 2 * M * r,
                              t.inverse, (const REAL *)s->B + 2 * M * row, (const REAL *)s->C + 2 * M * row, u, grad_y,
                              states + r * P, states + (r + 1) * P, g, parts, of_rate, of_B, of_C);
                const REAL *sums = FN(totals)(n + 1, parts, other);
                for (ptrdiff_t d = 0; d < n; d++) {
                    ((REAL *)s->grad_u)[at + d] = sums[d] + through[d] * grad_y[d];
                    of_through[d] += grad_y[d] * u[d];
                }
                ((REAL *)s->grad_clock)[row * H + h] = sums[n];
            }
        }
    }
}
