/* Diagonal state spaces whose steps are equal: E, R and C are the same in all of them. See ssm.h and each_simd.h. */

/* s over a stretch, for some modes whose states and numbers stay in registers; y is added to. The last observation of a
 * sequence leaves its own state. */
INLINE void FN(stretch)(const int modes, ptrdiff_t n_modes, ptrdiff_t n, int ends, const REAL *E, const REAL *R,
                        const REAL *C, const REAL *restrict u, REAL *restrict y, REAL *S)
{
    const ptrdiff_t W = FN(LANE), M = n_modes * W;
    VEC re[4], im[4], er[4], ei[4];
    for (int j = 0; j < modes; j++) {
        re[j] = *(const VEC *)(S + j * W), im[j] = *(const VEC *)(S + M + j * W);
        er[j] = *(const VEC *)(E + j * W), ei[j] = *(const VEC *)(E + M + j * W);
    }
    for (ptrdiff_t k = 0; k < n; k++) {
        const VEC in = *(const VEC *)(u + k * W);
        VEC out = {0};
        for (int j = 0; j < modes; j++)
            out += *(const VEC *)(C + j * W) * re[j] - *(const VEC *)(C + M + j * W) * im[j];
        *(VEC *)(y + k * W) += 2 * out;
        if (ends && k == n - 1)
            break;
        for (int j = 0; j < modes; j++) {
            const VEC next = er[j] * re[j] - ei[j] * im[j] + *(const VEC *)(R + j * W) * in;
            im[j] = er[j] * im[j] + ei[j] * re[j] + *(const VEC *)(R + M + j * W) * in;
            re[j] = next;
        }
    }
    for (int j = 0; j < modes; j++)
        *(VEC *)(S + j * W) = re[j], *(VEC *)(S + M + j * W) = im[j];
}

/* The adjoint of a stretch, of which `states` takes what is computed again. g is the gradient of the first state behind it,
 * or, where a sequence ends, of the last one in it. */
INLINE void FN(unstretch)(const int modes, ptrdiff_t n_modes, ptrdiff_t n, int ends, const REAL *E, const REAL *R,
                          const REAL *C, const REAL *restrict u, const REAL *restrict grad_y, const REAL *S, REAL *g,
                          REAL *restrict grad_u, REAL *grad_E, REAL *grad_R, REAL *grad_C, REAL *restrict states)
{
    const ptrdiff_t W = FN(LANE), M = n_modes * W;
    VEC re[2], im[2], er[2], ei[2], rr[2], ri[2], cr[2], ci[2];
    for (int j = 0; j < modes; j++) {
        re[j] = *(const VEC *)(S + j * W), im[j] = *(const VEC *)(S + M + j * W);
        er[j] = *(const VEC *)(E + j * W), ei[j] = *(const VEC *)(E + M + j * W);
        rr[j] = *(const VEC *)(R + j * W), ri[j] = *(const VEC *)(R + M + j * W);
    }
    for (ptrdiff_t k = 0; k < n; k++) {
        const VEC in = *(const VEC *)(u + k * W);
        for (int j = 0; j < modes; j++) {
            *(VEC *)(states + (k * 4 + 2 * j) * W) = re[j], *(VEC *)(states + (k * 4 + 2 * j + 1) * W) = im[j];
            const VEC next = er[j] * re[j] - ei[j] * im[j] + rr[j] * in;
            im[j] = er[j] * im[j] + ei[j] * re[j] + ri[j] * in;
            re[j] = next;
        }
    }
    VEC gr[2], gi[2], er_sum[2], ei_sum[2], rr_sum[2], ri_sum[2], cr_sum[2], ci_sum[2];
    for (int j = 0; j < modes; j++) {
        cr[j] = *(const VEC *)(C + j * W), ci[j] = *(const VEC *)(C + M + j * W);
        gr[j] = *(const VEC *)(g + j * W), gi[j] = *(const VEC *)(g + M + j * W);
        er_sum[j] = ei_sum[j] = rr_sum[j] = ri_sum[j] = cr_sum[j] = ci_sum[j] = (VEC){0};
    }
    for (ptrdiff_t k = n - 1; k >= 0; k--) {
        const VEC in = *(const VEC *)(u + k * W), gy = 2 * *(const VEC *)(grad_y + k * W);
        const int advances = !(ends && k == n - 1);
        VEC of_u = {0};
        for (int j = 0; j < modes; j++) {
            const VEC x = *(const VEC *)(states + (k * 4 + 2 * j) * W), z = *(const VEC *)(states + (k * 4 + 2 * j + 1) * W);
            if (advances) {
                er_sum[j] += gr[j] * x + gi[j] * z;
                ei_sum[j] += gi[j] * x - gr[j] * z;
                rr_sum[j] += gr[j] * in;
                ri_sum[j] += gi[j] * in;
                of_u += rr[j] * gr[j] + ri[j] * gi[j];
                const VEC next = er[j] * gr[j] + ei[j] * gi[j];
                gi[j] = er[j] * gi[j] - ei[j] * gr[j];
                gr[j] = next;
            }
            gr[j] += gy * cr[j];
            gi[j] -= gy * ci[j];
            cr_sum[j] += gy * x;
            ci_sum[j] -= gy * z;
        }
        *(VEC *)(grad_u + k * W) += of_u;
    }
    for (int j = 0; j < modes; j++) {
        *(VEC *)(g + j * W) = gr[j], *(VEC *)(g + M + j * W) = gi[j];
        *(VEC *)(grad_E + j * W) += er_sum[j], *(VEC *)(grad_E + M + j * W) += ei_sum[j];
        *(VEC *)(grad_R + j * W) += rr_sum[j], *(VEC *)(grad_R + M + j * W) += ri_sum[j];
        *(VEC *)(grad_C + j * W) += cr_sum[j], *(VEC *)(grad_C + M + j * W) += ci_sum[j];
    }
}

TARGET static void FN(steady_forward)(const space_t *s, ptrdiff_t first, ptrdiff_t last, void *scratch)
{
    const ptrdiff_t W = FN(LANE), M = s->n_modes, L = s->length, H = s->width, P = 2 * M * W, T = STRETCH * W;
    const ptrdiff_t n_stretches = (L + STRETCH - 1) / STRETCH;
    REAL *E = aligned(scratch), *R = E + P, *C = R + P, *S = C + P, *d = S + P, *taps = d + W, *u = taps + RUN * W, *y = u + T;
    FN(powers) *powers = (FN(powers) *)(y + T);
    for (ptrdiff_t item = first; item < last; item++) {
        const item_t i = item_of(s, item, W);
        const ptrdiff_t length = s->lengths[i.b];
        FN(gather_set)(s, i, 2 * M, s->rate, E), FN(gather_set)(s, i, 2 * M, s->into, R);
        FN(gather_set)(s, i, 2 * M, s->read, C), FN(gather_set)(s, i, 1, s->pass, d);
        REAL *state = (REAL *)s->state + i.b * 2 * M * H + i.h;
        FN(gather)(2 * M, H, i.n, W, state, S);
        if (length >= SHORT)
            FN(find_powers)(M, E, R, C, powers, taps);
        for (ptrdiff_t k = 0; k < length; k += STRETCH) {
            const ptrdiff_t n = length - k < STRETCH ? length - k : STRETCH, at = (i.b * L + k) * H + i.h;
            const int ends = k + n == length;
            const ptrdiff_t n_runs = length >= SHORT ? (n - ends) / RUN : 0, rest = n_runs * RUN;
            if (s->kept != NULL)
                FN(scatter)(2 * M, H, i.n, W, S, (REAL *)s->kept + (i.b * n_stretches + k / STRETCH) * 2 * M * H + i.h);
            FN(gather_stretch)(n, H, i.n, (const REAL *)s->u + at, u, STRETCH);
            for (ptrdiff_t r = 0; r < n; r++) {
                VEC out = *(const VEC *)(u + r * W) * *(const VEC *)d;
                for (ptrdiff_t l = 1; l <= r % RUN && r < rest; l++)
                    out += *(const VEC *)(taps + l * W) * *(const VEC *)(u + (r - l) * W);
                *(VEC *)(y + r * W) = out;
            }
            for (ptrdiff_t j = 0; j < M; j++) {
                ptrdiff_t q = 0;
                for (; q + ABREAST <= n_runs; q += ABREAST)
                    FN(runs)(ABREAST, powers + j, u + q * RUN * W, y + q * RUN * W, S + j * W, S + (M + j) * W);
                for (; q < n_runs; q++)
                    FN(runs)(1, powers + j, u + q * RUN * W, y + q * RUN * W, S + j * W, S + (M + j) * W);
            }
            if (rest < n) {
                ptrdiff_t j = 0;
                for (; j + 4 <= M; j += 4)
                    FN(stretch)(4, M, n - rest, ends, E + j * W, R + j * W, C + j * W, u + rest * W, y + rest * W, S + j * W);
                for (; j < M; j++)
                    FN(stretch)(1, M, n - rest, ends, E + j * W, R + j * W, C + j * W, u + rest * W, y + rest * W, S + j * W);
            }
            FN(scatter)(n, H, i.n, W, y, (REAL *)s->y + at);
        }
        FN(scatter)(2 * M, H, i.n, W, S, state);
    }
}

TARGET static void FN(steady_backward)(const space_t *s, ptrdiff_t first, ptrdiff_t last, void *scratch)
{
    const ptrdiff_t W = FN(LANE), M = s->n_modes, L = s->length, H = s->width, P = 2 * M * W, T = STRETCH * W;
    const ptrdiff_t n_stretches = (L + STRETCH - 1) / STRETCH;
    REAL *E = aligned(scratch), *R = E + P, *C = R + P, *S = C + P, *g = S + P, *sums = g + P, *d = sums + 3 * P, *grad_d = d + W;
    REAL *taps = grad_d + W, *of_taps = taps + RUN * W, *u = of_taps + RUN * W, *gy = u + T, *gu = gy + T;
    REAL *states = gu + T, *X = states + 4 * T, *one = X + 2 * T / RUN;
    FN(powers) *powers = (FN(powers) *)(one + 2 * P), *of_powers = powers + M;
    for (ptrdiff_t item = first; item < last; item++) {
        const item_t i = item_of(s, item, W);
        const ptrdiff_t length = s->lengths[i.b], of_item = i.b * 2 * M * H + i.h;
        FN(gather_set)(s, i, 2 * M, s->rate, E), FN(gather_set)(s, i, 2 * M, s->into, R);
        FN(gather_set)(s, i, 2 * M, s->read, C), FN(gather_set)(s, i, 1, s->pass, d);
        FN(gather)(2 * M, H, i.n, W, (REAL *)s->grad_state + of_item, g);
        memset(sums, 0, 3 * P * sizeof(REAL));
        if (length >= SHORT) {
            FN(find_powers)(M, E, R, C, powers, taps);
            memset(of_powers, 0, M * sizeof(FN(powers))), memset(of_taps, 0, RUN * W * sizeof(REAL));
        }
        VEC total = {0};
        for (ptrdiff_t k = (length - 1) / STRETCH * STRETCH; k >= 0 && length > 0; k -= STRETCH) {
            const ptrdiff_t n = length - k < STRETCH ? length - k : STRETCH, at = (i.b * L + k) * H + i.h;
            const int ends = k + n == length;
            const ptrdiff_t n_runs = length >= SHORT ? (n - ends) / RUN : 0, rest = n_runs * RUN;
            FN(gather)(2 * M, H, i.n, W, (const REAL *)s->kept + (i.b * n_stretches + k / STRETCH) * 2 * M * H + i.h, S);
            FN(gather_stretch)(n, H, i.n, (const REAL *)s->u + at, u, -STRETCH);
            FN(gather_stretch)(n, H, i.n, (const REAL *)s->grad_y + at, gy, -STRETCH);
            for (ptrdiff_t r = 0; r < n; r++) {
                *(VEC *)(gu + r * W) = *(const VEC *)(gy + r * W) * *(const VEC *)d;
                total += *(const VEC *)(gy + r * W) * *(const VEC *)(u + r * W);
            }
            for (ptrdiff_t r = 0; r < rest; r++)
                for (ptrdiff_t l = 1; l <= r % RUN; l++) {
                    *(VEC *)(gu + (r - l) * W) += *(const VEC *)(taps + l * W) * *(const VEC *)(gy + r * W);
                    *(VEC *)(of_taps + l * W) += *(const VEC *)(gy + r * W) * *(const VEC *)(u + (r - l) * W);
                }
            for (ptrdiff_t j = 0; j < M; j++) {
                REAL *re = S + j * W, *im = re + M * W;
                ptrdiff_t q = 0;
                for (; q + ABREAST <= n_runs; q += ABREAST)
                    FN(enter)(ABREAST, powers + j, u + q * RUN * W, re, im, X + 2 * q * W);
                for (; q < n_runs; q++)
                    FN(enter)(1, powers + j, u + q * RUN * W, re, im, X + 2 * q * W);
                if (rest < n)
                    FN(unstretch)(1, M, n - rest, ends, E + j * W, R + j * W, C + j * W, u + rest * W, gy + rest * W, re,
                                  g + j * W, gu + rest * W, sums + j * W, sums + P + j * W, sums + 2 * P + j * W, states);
                for (q = n_runs; q >= ABREAST; q -= ABREAST)
                    FN(unrun)(ABREAST, powers + j, u + (q - ABREAST) * RUN * W, gy + (q - ABREAST) * RUN * W,
                              X + 2 * (q - ABREAST) * W, gu + (q - ABREAST) * RUN * W, g + j * W, g + (M + j) * W, of_powers + j);
                for (; q > 0; q--)
                    FN(unrun)(1, powers + j, u + (q - 1) * RUN * W, gy + (q - 1) * RUN * W, X + 2 * (q - 1) * W,
                              gu + (q - 1) * RUN * W, g + j * W, g + (M + j) * W, of_powers + j);
            }
            FN(scatter)(n, H, i.n, W, gu, (REAL *)s->grad_u + at);
        }
        *(VEC *)grad_d = total;
        if (length >= SHORT)
            FN(unfind_powers)(M, E, R, C, powers, of_powers, of_taps, sums);
        FN(scatter)(2 * M, H, i.n, W, g, (REAL *)s->grad_state + of_item);
        FN(scatter)(2 * M, H, i.n, W, sums, (REAL *)s->grad_rate + of_item);
        FN(scatter)(2 * M, H, i.n, W, sums + P, (REAL *)s->grad_into + of_item);
        FN(scatter)(2 * M, H, i.n, W, sums + 2 * P, (REAL *)s->grad_read + of_item);
        FN(scatter)(1, H, i.n, W, grad_d, (REAL *)s->grad_pass + i.b * H + i.h);
    }
}
