/* The adjoint of a diagonal state space whose steps differ. See varying_body.h, ssm.h and each_simd.h. */

/* What the adjoint of a mode sums up: of lambda, mu, mu^2 and C. */
typedef struct {
    VEC lr, li, mr, mi, sr, si, cr, ci;
} FN(sums);

#define MASKED(x) FN(within)(masked, mask, x)
INLINE VEC FN(within)(const int masked, BITS mask, VEC x)
{
    if (masked)
        return FN(of_bits)(FN(bits_of)(x) & mask);
    return x;
}

/* The adjoint of a step, for channels in the mask, if there is one: g becomes the gradient of the state before it, (re, im). */
INLINE void FN(uncreep)(const int masked, const FN(mode) *m, int terms, REAL h, VEC v, VEC s, VEC re, VEC im, BITS mask, VEC *gr, VEC *gi,
                        VEC *of_v, VEC *of_s, FN(sums) *t)
{
    const VEC x = m->lr * h, y = m->li * h, w = h * h * s;
    VEC a3, b3;
    FN(series)(3, terms, x, y, &a3, &b3);
    const VEC a2 = (REAL)0.5 + x * a3 - y * b3, b2 = x * b3 + y * a3, a1 = 1 + x * a2 - y * b2, b1 = x * b2 + y * a2;
    const VEC a = 1 + x * a1 - y * b1, b = x * b1 + y * a1;
    const VEC qr = a * re - b * im + h * (a1 - a2) * v + (a2 - 2 * a3) * w;  /* d x+ / dz */
    const VEC qi = a * im + b * re + h * (b1 - b2) * v + (b2 - 2 * b3) * w;
    t->lr += MASKED(h * (qr * *gr + qi * *gi));
    t->li += MASKED(h * (qr * *gi - qi * *gr));
    *of_v += MASKED(h * (a1 * *gr + b1 * *gi));
    *of_s += MASKED(h * h * (a2 * *gr + b2 * *gi));
    const VEC next = a * *gr + b * *gi;
    *gi = a * *gi - b * *gr;
    *gr = next;
}

INLINE void FN(unleap)(const int masked, const FN(mode) *m, REAL h, VEC v, VEC w, VEC s, VEC re, VEC im, VEC er, VEC ei, BITS mask, VEC *gr,
                       VEC *gi, VEC *of_v, VEC *of_w, VEC *of_s, FN(sums) *t)
{
    const VEC g = *gr, f = *gi, c = re + m->mr * w + m->sr * s, d = im + m->mi * w + m->si * s;  /* e^z (x + ...) */
    const VEC a = er * g + ei * f, b = er * f - ei * g, p = a - g, q = b - f;
    t->lr += MASKED(h * (c * g + d * f)), t->li += MASKED(h * (c * f - d * g));
    t->mr += MASKED(a * v - g * w), t->mi += MASKED(b * v - f * w);
    t->sr += MASKED(p * s), t->si += MASKED(q * s);
    *of_v += MASKED(m->mr * a + m->mi * b);
    *of_w -= MASKED(m->mr * g + m->mi * f);
    *of_s += MASKED(m->sr * p + m->si * q);
    *gr = a, *gi = b;
}

TARGET static void FN(varying_backward)(const space_t *s, ptrdiff_t first, ptrdiff_t last, void *scratch)
{
    const ptrdiff_t W = FN(LANE), M = s->n_modes, L = s->length, H = s->width, P = 2 * M * W, T = STRETCH * W;
    const ptrdiff_t n_stretches = (L + STRETCH - 1) / STRETCH;
    const BITS any = {0};
    REAL *lambda = aligned(scratch), *C = lambda + P, *S = C + P, *g = S + P, *sums = g + P, *D = sums + 4 * P, *grad_D = D + W;
    REAL *carry = grad_D + W, *u = carry + W, *slope = u + T + W, *gy = slope + T, *of_v = gy + T, *of_w = of_v + T;
    REAL *of_s = of_w + T, *states = of_s + T, *gu = states + 4 * (T + W);
    FN(mode) *modes = (FN(mode) *)(gu + T + W);
    for (ptrdiff_t item = first; item < last; item++) {
        const item_t i = item_of(s, item, W);
        const ptrdiff_t length = s->lengths[i.b], of_item = i.b * 2 * M * H + i.h;
        FN(gather_set)(s, i, 2 * M, s->rate, lambda), FN(gather_set)(s, i, 2 * M, s->read, C);
        FN(gather_set)(s, i, 1, s->pass, D);
        FN(load_modes)(M, lambda, C, i.n, modes);
        FN(gather)(2 * M, H, i.n, W, (REAL *)s->grad_state + of_item, g);
        memset(sums, 0, 4 * P * sizeof(REAL)), memset(grad_D, 0, W * sizeof(REAL)), memset(carry, 0, W * sizeof(REAL));
        for (ptrdiff_t k = (length - 1) / STRETCH * STRETCH; k >= 0 && length > 0; k -= STRETCH) {
            const ptrdiff_t n = length - k < STRETCH ? length - k : STRETCH, at = (i.b * L + k) * H + i.h;
            const double *steps = s->step + i.b * L + k;
            FN(gather)(2 * M, H, i.n, W, (const REAL *)s->kept + (i.b * n_stretches + k / STRETCH) * 2 * M * H + i.h, S);
            FN(inputs)(s, i, k, n, u, slope);
            FN(gather)(n, H, i.n, W, (const REAL *)s->grad_y + at, gy);
            memset(of_v, 0, 3 * T * sizeof(REAL));
            const REAL *v = s->held ? u + W : u;
            for (ptrdiff_t j = 0; j < M; j++) {
                const FN(mode) *m = modes + j;
                VEC re = *(VEC *)(S + j * W), im = *(VEC *)(S + (M + j) * W), er = {0}, ei = {0};
                for (ptrdiff_t r = 0; r < n; r++) {
                    VEC *now = (VEC *)(states + 4 * r * W);
                    now[0] = re, now[1] = im;
                    if (steps[r] > 0)
                        FN(move)(m, steps[r], *(const VEC *)(v + r * W), *(const VEC *)(u + (r + 1) * W),
                                 *(const VEC *)(slope + r * W), &re, &im, &er, &ei);
                    now[2] = er, now[3] = ei, now[4] = re, now[5] = im;
                }
                REAL *own = sums + 8 * j * W;
                FN(sums) t;
                memcpy(&t, own, sizeof t);
                VEC gr = *(VEC *)(g + j * W), gi = *(VEC *)(g + (M + j) * W);
                for (ptrdiff_t r = n - 1; r >= 0; r--) {
                    const VEC *now = (const VEC *)(states + 4 * r * W), twice = 2 * *(const VEC *)(gy + r * W);
                    t.cr += twice * now[4], t.ci -= twice * now[5];
                    gr += twice * m->cr, gi -= twice * m->ci;
                    if (!(steps[r] > 0))
                        continue;
                    const REAL h = (REAL)steps[r];
                    const int ways = ways_of(m->least, m->most, steps[r]);
                    const VEC in = *(const VEC *)(v + r * W), rise = *(const VEC *)(slope + r * W);
                    VEC *to_v = (VEC *)(of_v + r * W), *to_w = (VEC *)(of_w + r * W), *to_s = (VEC *)(of_s + r * W);
                    const VEC end = *(const VEC *)(u + (r + 1) * W);
                    const int terms = FN(terms)(m->most * steps[r] < 0.5 ? m->most * steps[r] : 0.5);
                    if (ways == FAST) {
                        FN(unleap)(0, m, h, in, end, rise, now[4], now[5], now[2], now[3], any, &gr, &gi, to_v, to_w, to_s, &t);
                    } else if (ways == SLOW) {
                        FN(uncreep)(0, m, terms, h, in, rise, now[0], now[1], any, &gr, &gi, to_v, to_s, &t);
                    } else {
                        const BITS slow = FN(is_slow)(m, h);
                        VEC fast_gr = gr, fast_gi = gi;
                        FN(unleap)(1, m, h, in, end, rise, now[4], now[5], now[2], now[3], ~slow, &fast_gr, &fast_gi, to_v,
                                   to_w, to_s, &t);
                        FN(uncreep)(1, m, terms, h, in, rise, now[0], now[1], slow, &gr, &gi, to_v, to_s, &t);
                        gr = FN(choose)(slow, gr, fast_gr), gi = FN(choose)(slow, gi, fast_gi);
                    }
                }
                memcpy(own, &t, sizeof t);
                *(VEC *)(g + j * W) = gr, *(VEC *)(g + (M + j) * W) = gi;
            }
            for (ptrdiff_t l = 0; l < W; l++)  /* of u, from those of v, w and the slopes; one row is of the stretch before */
                gu[n * W + l] = carry[l];
            for (ptrdiff_t r = n - 1; r >= 0; r--)
                for (ptrdiff_t l = 0; l < W; l++) {
                    const REAL rise = steps[r] > 0 && !s->held ? (REAL)(1 / steps[r]) * of_s[r * W + l] : 0;
                    gu[(r + 1) * W + l] += gy[r * W + l] * D[l] + of_w[r * W + l] + rise + (s->held ? of_v[r * W + l] : 0);
                    gu[r * W + l] = (s->held ? 0 : of_v[r * W + l]) - rise;
                    grad_D[l] += gy[r * W + l] * u[(r + 1) * W + l];
                }
            FN(scatter)(n, H, i.n, W, gu + W, (REAL *)s->grad_u + at);
            memcpy(carry, gu, W * sizeof(REAL));
        }
        FN(scatter)(1, H, i.n, W, carry, (REAL *)s->grad_before + i.b * H + i.h);
        FN(scatter)(2 * M, H, i.n, W, g, (REAL *)s->grad_state + of_item);
        for (ptrdiff_t j = 0; j < M; j++) {  /* d mu = -mu^2 d lambda, d mu^2 = -2 mu^3 d lambda */
            const FN(mode) *m = modes + j;
            FN(sums) t;
            memcpy(&t, sums + 8 * j * W, sizeof t);
            const VEC cr = 2 * (m->sr * m->mr - m->si * m->mi), ci = 2 * (m->sr * m->mi + m->si * m->mr);
            *(VEC *)(S + j * W) = t.lr - (m->sr * t.mr + m->si * t.mi) - (cr * t.sr + ci * t.si);
            *(VEC *)(S + (M + j) * W) = t.li - (m->sr * t.mi - m->si * t.mr) - (cr * t.si - ci * t.sr);
            *(VEC *)(g + j * W) = t.cr, *(VEC *)(g + (M + j) * W) = t.ci;
        }
        FN(scatter)(2 * M, H, i.n, W, S, (REAL *)s->grad_rate + of_item);
        FN(scatter)(2 * M, H, i.n, W, g, (REAL *)s->grad_read + of_item);
        FN(scatter)(1, H, i.n, W, grad_D, (REAL *)s->grad_pass + i.b * H + i.h);
    }
}

#undef MASKED
#undef BELOW
#undef BITS
