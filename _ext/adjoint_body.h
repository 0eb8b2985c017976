/* The adjoint of a diagonal state space whose steps differ. See varying_body.h, ssm.h and each_simd.h. */

/* The adjoint of `travel`: g becomes the gradient of the states before the stretch. */
INLINE void FN(untravel)(const FN(mode) *m, ptrdiff_t n, const double *steps, int held, const REAL *slope, const REAL *jump,
                         const REAL *path, FN(grads) of, VEC *gr, VEC *gi, FN(sums) *t)
{
    const ptrdiff_t W = FN(LANE);
    for (ptrdiff_t r = n - 1; r >= 0; r--) {
        const VEC *last = (const VEC *)path + 4 * PAIR * r, *now = last + 4 * PAIR, gy = *(const VEC *)(of.y + r * W);
        const int jumps = held || !(steps[r] > 0);
        UNROLL
        for (int p = 0; p < PAIR; p++) {
            t[p].dr += gy * now[4 * p], t[p].di -= gy * now[4 * p + 1];
            gr[p] += gy * m[p].dr, gi[p] -= gy * m[p].di;
        }
        if (steps[r] > 0) {
            const REAL h = (REAL)steps[r];
            const VEC s = *(const VEC *)(slope + r * W);
            VEC of_slope = *(VEC *)(of.slope + r * W);
            UNROLL
            for (int p = 0; p < PAIR; p++) {
                const VEC er = now[4 * p + 2], ei = now[4 * p + 3];
                VEC re = last[4 * p], im = last[4 * p + 1];
                if (jumps) {
                    const VEC more = *(const VEC *)(jump + r * W);
                    re += m[p].fr * more, im += m[p].fi * more;
                }
                const VEC pr = h * (re + s), pi = h * im, br = er * gr[p] + ei * gi[p], bi = er * gi[p] - ei * gr[p];
                gr[p] += br, gi[p] += bi;  /* r+ = r + E p, and with dE = h (1 + E) d lambda it is what is behind h p */
                t[p].fr = t[p].fr + pr * gr[p] + pi * gi[p], t[p].fi = t[p].fi + pr * gi[p] - pi * gr[p];
                of_slope += br;
            }
            *(VEC *)(of.slope + r * W) = of_slope;
        }
        if (jumps) {
            const VEC more = *(const VEC *)(jump + r * W);
            UNROLL
            for (int p = 0; p < PAIR; p++) {
                *(VEC *)(of.jump + r * W) += m[p].fr * gr[p] + m[p].fi * gi[p];
                t[p].fr += more * gr[p], t[p].fi += more * gi[p];
            }
        }
    }
}

/* The gradients of x behind the last observation, g, as those of r, where modes are not slow, and that of the last input. */
INLINE void FN(end)(const FN(mode) *m, VEC re, VEC im, VEC u, VEC *gr, VEC *gi, REAL *of_end, FN(sums) *t)
{
    const VEC xr = *gr, xi = *gi, qr = m->mr * re - m->mi * im, qi = m->mr * im + m->mi * re;  /* x = mu (q - u), q = mu r */
    const VEC of_qr = m->mr * xr + m->mi * xi, of_qi = m->mr * xi - m->mi * xr;
    t->mr += (qr - u) * xr + qi * xi + re * of_qr + im * of_qi, t->mi += (qr - u) * xi - qi * xr + re * of_qi - im * of_qr;
    *gr = m->mr * of_qr + m->mi * of_qi, *gi = m->mr * of_qi - m->mi * of_qr;
    *(VEC *)of_end -= of_qr;
}

/* The gradients of r before the first observation as those of x, S, and of u, the input before it, and all sums as those of
 * lambda and C, in S and g. */
TARGET static void FN(begin)(ptrdiff_t n_modes, const FN(mode) *m, const REAL *C, const REAL *u, const REAL *grad_D, REAL *sums, REAL *S,
                             REAL *g, REAL *of_before, REAL *of_C)
{
    const ptrdiff_t W = FN(LANE), M = n_modes * W;
    const VEC none = {0}, before = *(const VEC *)u, of_D = *(const VEC *)grad_D;
    for (ptrdiff_t j = 0; j < n_modes; j++, m++, C += W, S += W, g += W, of_C += W, sums += 10 * W) {
        FN(sums) t;
        memcpy(&t, sums, sizeof t);
        const BITS slow = m->is_slow;
        const VEC gr = *(VEC *)g, gi = *(VEC *)(g + M), rr = FN(choose)(slow, none, gr), ri = FN(choose)(slow, none, gi);
        const VEC xr = *(VEC *)S, xi = *(VEC *)(S + M), cr = 2 * *(const VEC *)C, ci = 2 * *(const VEC *)(C + M);
        const VEC qr = m->fr * xr - m->fi * xi + before, qi = m->fr * xi + m->fi * xr;  /* r = lambda q, q = lambda x + u */
        const VEC of_qr = m->fr * rr + m->fi * ri, of_qi = m->fr * ri - m->fi * rr;
        t.fr += qr * rr + qi * ri + xr * of_qr + xi * of_qi, t.fi += qr * ri - qi * rr + xr * of_qi - xi * of_qr;
        *(VEC *)of_before += of_qr;
        *(VEC *)g = FN(choose)(slow, gr, m->fr * of_qr + m->fi * of_qi);
        *(VEC *)(g + M) = FN(choose)(slow, gi, m->fr * of_qi - m->fi * of_qr);
        const VEC kr = cr * m->mr - ci * m->mi, ki = cr * m->mi + ci * m->mr;  /* 2 C mu, which D is less by */
        const VEC of_kr = m->mr * t.dr + m->mi * t.di - of_D, of_ki = m->mr * t.di - m->mi * t.dr;
        t.mr += cr * of_kr + ci * of_ki + kr * t.dr + ki * t.di, t.mi += cr * of_ki - ci * of_kr + kr * t.di - ki * t.dr;
        *(VEC *)of_C = 2 * FN(choose)(slow, t.cr, m->mr * of_kr + m->mi * of_ki);
        *(VEC *)(of_C + M) = 2 * FN(choose)(slow, t.ci, m->mr * of_ki - m->mi * of_kr);
        const VEC sr = m->mr * m->mr - m->mi * m->mi, si = 2 * m->mr * m->mi;  /* d mu = -mu^2 d lambda */
        *(VEC *)S = FN(choose)(slow, t.lr, t.fr - (sr * t.mr + si * t.mi));
        *(VEC *)(S + M) = FN(choose)(slow, t.li, t.fi - (sr * t.mi - si * t.mr));
    }
}

TARGET static void FN(varying_backward)(const space_t *s, ptrdiff_t first, ptrdiff_t last, void *scratch)
{
    const ptrdiff_t W = FN(LANE), M = s->n_modes, L = s->length, H = s->width, P = 2 * M * W, T = STRETCH * W;
    const ptrdiff_t all = (10 * M + 10 * (PAIR - 1)) * W;  /* of all sums */
    const ptrdiff_t n_stretches = (L + STRETCH - 1) / STRETCH;
    REAL *lambda = aligned(scratch), *C = lambda + P, *S = C + P, *g = S + P, *sums = g + P, *D = sums + all, *grad_D = D + W;
    REAL *carry = grad_D + W, *u = carry + W, *slope = u + T + W, *jump = slope + T, *gy = jump + T, *of_v = gy + T, *of_s = of_v + T;
    REAL *of_jump = of_s + T, *path = of_jump + T, *gu = path + 4 * PAIR * (T + W), a[STRETCH];
    FN(clock) clock;
    VEC *d = aligned(gu + T + W), *of_d = d + STRETCH * (MOST_POWERS + 2);
    FN(polynomials) *polynomials = aligned(of_d + STRETCH * (MOST_POWERS + 2));
    FN(mode) *modes = (FN(mode) *)(polynomials + (M + PAIR - 1) / PAIR);
    const FN(grads) of = {gy, of_v, of_s, of_jump};
    for (ptrdiff_t item = first; item < last; item++) {
        const item_t i = item_of(s, item, W);
        const ptrdiff_t length = s->lengths[i.b], of_item = i.b * 2 * M * H + i.h;
        const REAL *kept = (const REAL *)s->kept + i.b * n_stretches * 2 * M * H + i.h;
        const double *steps = s->step + i.b * L;
        const pace_t pace = pace_of(length, steps, TYPED(FARTHEST));
        const double slow = FN(prepare)(s, i, pace, lambda, C, D, modes, polynomials);
        FN(gather)(2 * M, H, i.n, W, (REAL *)s->grad_state + of_item, g);
        FN(rescale)(P, pace.unit, g);
        memset(sums, 0, all * sizeof(REAL)), memset(grad_D, 0, W * sizeof(REAL)), memset(carry, 0, W * sizeof(REAL));
        for (ptrdiff_t k = (length - 1) / STRETCH * STRETCH; k >= 0 && length > 0; k -= STRETCH) {
            const ptrdiff_t n = length - k < STRETCH ? length - k : STRETCH, at = (i.b * L + k) * H + i.h;
            FN(ticks)(n, steps + k, pace, &clock);
            const int how = FN(how)(slow, pace.reach, &clock);
            FN(gather)(2 * M, H, i.n, W, kept + k / STRETCH * 2 * M * H, S);
            FN(inputs)(s, i, k, n, &clock, u, slope, jump);
            if (k == 0)
                FN(exchange)(0, M, modes, u, S);
            FN(gather)(n, H, i.n, W, (const REAL *)s->grad_y + at, gy);
            memset(of_v, 0, 3 * T * sizeof(REAL));
            if (slow >= 0) {
                FN(moments)(POWERS(how), n, &clock, s->held ? u + W : u, slope, a, d);
                memset(of_d, 0, n * (MOST_POWERS + 2) * sizeof(VEC));
            }
            for (ptrdiff_t j = 0; j < M; j += PAIR) {
                const FN(mode) *m = modes + j;
                FN(states) q, x, of_q, of_x;
                FN(sums) t[PAIR];
                FN(apart)(M, j, m, S, &q, &x), FN(apart)(M, j, m, g, &of_q, &of_x);
                memcpy(t, sums + 10 * j * W, sizeof t);
                FN(polynomials) *made = polynomials + j / PAIR;
                const int range = FN(ready)(&clock, how, m, made);
                if (FN(fastest)(m) > 0) {
                    TRAVEL(range, m, made, n, &clock, s->held, slope, jump, q.re, q.im, NULL, path)
                    if (k + n == length)
                        for (int p = 0; p < PAIR; p++)
                            FN(end)(m + p, q.re[p], q.im[p], *(const VEC *)(u + n * W), of_q.re + p, of_q.im + p, carry, t + p);
                    FN(untravel)(m, n, clock.steps, s->held, slope, jump, path, of, of_q.re, of_q.im, t);
                }
                if (FN(slowest)(m) >= 0) {
                    CRAWL(how, m, made, n, &clock, a, d, u, slope, x.re, x.im, NULL, (VEC *)path)
                    UNCRAWL(how, m, made, n, &clock, d, u, slope, (const VEC *)path, s->held, of, of_d, of_x.re, of_x.im, t)
                }
                memcpy(sums + 10 * j * W, t, sizeof t);
                FN(together)(M, j, m, &of_q, &of_x, g);
            }
            if (slow >= 0)
                FN(from_moments)(POWERS(how), n, clock.steps, a, of_d, of_v, of_s);
            /* Of u: the carry is of its last row, which is of the stretch behind, or of the end. */
            memcpy(gu + n * W, carry, W * sizeof(REAL));
            for (ptrdiff_t r = n - 1; r >= 0; r--)
                for (ptrdiff_t l = 0; l < W; l++) {
                    const int rises = clock.steps[r] > 0 && !s->held;
                    const REAL more = rises ? (REAL)(1 / clock.steps[r]) * of_s[r * W + l] : of_jump[r * W + l];
                    gu[(r + 1) * W + l] += gy[r * W + l] * D[l] + more + (s->held ? of_v[r * W + l] : 0);
                    gu[r * W + l] = (s->held ? 0 : of_v[r * W + l]) - more;
                    grad_D[l] += gy[r * W + l] * u[(r + 1) * W + l];
                }
            FN(scatter)(n, H, i.n, W, gu + W, (REAL *)s->grad_u + at);
            memcpy(carry, gu, W * sizeof(REAL));
        }
        const int alone = length == 0 || s->held || !(clock.steps[0] > 0);  /* of the input before, which is 0 then */
        memset(S, 0, P * sizeof(REAL)), memset(lambda, 0, P * sizeof(REAL));
        if (length > 0) {
            FN(gather)(2 * M, H, i.n, W, kept, S);
            FN(begin)(M, modes, C, u, grad_D, sums, S, g, carry, lambda);
            FN(rescale)(P, pace.unit, S), FN(rescale)(P, pace.unit, lambda), FN(rescale)(P, 1 / pace.unit, g);  /* of lambda, C and x */
            FN(scatter)(2 * M, H, i.n, W, g, (REAL *)s->grad_state + of_item);
        }
        if (alone)
            memset(carry, 0, W * sizeof(REAL));
        FN(scatter)(1, H, i.n, W, carry, (REAL *)s->grad_before + i.b * H + i.h);
        FN(scatter)(2 * M, H, i.n, W, S, (REAL *)s->grad_rate + of_item);
        FN(scatter)(2 * M, H, i.n, W, lambda, (REAL *)s->grad_read + of_item);
        FN(scatter)(1, H, i.n, W, grad_D, (REAL *)s->grad_pass + i.b * H + i.h);
    }
}

#undef TRAVEL
#undef CRAWL
#undef UNCRAWL
#undef POWERS
#undef BELOW
#undef BITS
