/* Runs of RUN observations, whose inputs enter a state, and whose outputs leave it, by powers of E that are found once. See
 * ssm.h and each_simd.h.
 *
 * From the state s at its first observation, a run goes on to E^RUN s + sum_t I_t u_t, with I_t = E^(RUN - 1 - t) R, and
 * has y_t = Re(O_t s) + sum_l K_l u_{t - l}, with O_t = 2 C E^t, K_0 = d and K_l = sum_n Re(O_{l - 1} R).
 */

/* One mode of some channels. */
typedef struct {
    VEC ir[RUN], ii[RUN];  /* I */
    VEC or[RUN], oi[RUN];  /* Re O and -Im O: what s is multiplied with */
    VEC jr, ji;            /* E^RUN */
} FN(powers);

/* All modes of an item. */
TARGET static void FN(find_powers)(ptrdiff_t n_modes, const REAL *E, const REAL *R, const REAL *C, FN(powers) *powers, REAL *taps)
{
    const ptrdiff_t W = FN(LANE), M = n_modes * W;
    memset(taps, 0, RUN * W * sizeof(REAL));
    for (ptrdiff_t j = 0; j < n_modes; j++, E += W, R += W, C += W, powers++) {
        const VEC er = *(const VEC *)E, ei = *(const VEC *)(E + M), rr = *(const VEC *)R, ri = *(const VEC *)(R + M);
        const VEC cr = 2 * *(const VEC *)C, ci = 2 * *(const VEC *)(C + M);
        VEC pr = (VEC){0} + 1, pi = {0};
        for (int t = 0; t < RUN; t++) {
            powers->or[t] = cr * pr - ci * pi, powers->oi[t] = -(cr * pi + ci * pr);
            powers->ir[RUN - 1 - t] = rr * pr - ri * pi, powers->ii[RUN - 1 - t] = rr * pi + ri * pr;
            if (t + 1 < RUN)
                *(VEC *)(taps + (t + 1) * W) += powers->or[t] * rr + powers->oi[t] * ri;
            const VEC next = pr * er - pi * ei;
            pi = pr * ei + pi * er;
            pr = next;
        }
        powers->jr = pr, powers->ji = pi;
    }
}

/* Their gradients as those of E, R and C, which are added to `sums`. */
TARGET static void FN(unfind_powers)(ptrdiff_t n_modes, const REAL *E, const REAL *R, const REAL *C, const FN(powers) *powers,
                                     FN(powers) *grad, const REAL *grad_taps, REAL *sums)
{
    const ptrdiff_t W = FN(LANE), M = n_modes * W;
    for (ptrdiff_t j = 0; j < n_modes; j++, E += W, R += W, C += W, sums += W, powers++, grad++) {
        const VEC er = *(const VEC *)E, ei = *(const VEC *)(E + M), rr = *(const VEC *)R, ri = *(const VEC *)(R + M);
        const VEC cr = 2 * *(const VEC *)C, ci = 2 * *(const VEC *)(C + M);
        VEC pr[RUN], pi[RUN], gr[RUN], gi[RUN];  /* E^t and their gradients */
        VEC of_rr = {0}, of_ri = {0}, of_cr = {0}, of_ci = {0}, of_er = {0}, of_ei = {0};
        pr[0] = (VEC){0} + 1, pi[0] = (VEC){0};
        for (int t = 1; t < RUN; t++)
            pr[t] = pr[t - 1] * er - pi[t - 1] * ei, pi[t] = pr[t - 1] * ei + pi[t - 1] * er;
        for (int t = 0; t < RUN; t++) {
            if (t + 1 < RUN) {
                const VEC tap = *(const VEC *)(grad_taps + (t + 1) * W);
                grad->or[t] += tap * rr, grad->oi[t] += tap * ri;
                of_rr += tap * powers->or[t], of_ri += tap * powers->oi[t];
            }
            /* Of a product, each factor has the gradient times the conjugate of the other one. */
            const VEC outr = grad->or[t], outi = -grad->oi[t], inr = grad->ir[RUN - 1 - t], ini = grad->ii[RUN - 1 - t];
            of_cr += 2 * (outr * pr[t] + outi * pi[t]), of_ci += 2 * (outi * pr[t] - outr * pi[t]);
            of_rr += inr * pr[t] + ini * pi[t], of_ri += ini * pr[t] - inr * pi[t];
            gr[t] = outr * cr + outi * ci + inr * rr + ini * ri;
            gi[t] = outi * cr - outr * ci + ini * rr - inr * ri;
        }
        VEC ar = grad->jr, ai = grad->ji;  /* of E^(t + 1) */
        for (int t = RUN - 1; t >= 0; t--) {
            of_er += ar * pr[t] + ai * pi[t], of_ei += ai * pr[t] - ar * pi[t];
            const VEC next = gr[t] + ar * er + ai * ei;
            ai = gi[t] + ai * er - ar * ei;
            ar = next;
        }
        *(VEC *)sums += of_er, *(VEC *)(sums + M) += of_ei;
        *(VEC *)(sums + 2 * M) += of_rr, *(VEC *)(sums + 3 * M) += of_ri;
        *(VEC *)(sums + 4 * M) += of_cr, *(VEC *)(sums + 5 * M) += of_ci;
    }
}

/* The states at the beginnings of runs, X, and the one behind them. */
INLINE void FN(enter)(const int abreast, const FN(powers) *p, const REAL *restrict u, REAL *re, REAL *im, REAL *restrict X)
{
    const ptrdiff_t W = FN(LANE);
    VEC ar[ABREAST], ai[ABREAST];
    for (int c = 0; c < abreast; c++)
        ar[c] = ai[c] = (VEC){0};
    for (int t = 0; t < RUN; t++) {
        const VEC ir = p->ir[t], ii = p->ii[t];
        for (int c = 0; c < abreast; c++) {
            const VEC in = *(const VEC *)(u + (c * RUN + t) * W);
            ar[c] += ir * in, ai[c] += ii * in;
        }
    }
    VEC xr = *(VEC *)re, xi = *(VEC *)im;
    for (int c = 0; c < abreast; c++) {
        *(VEC *)(X + 2 * c * W) = xr, *(VEC *)(X + (2 * c + 1) * W) = xi;
        const VEC next = p->jr * xr - p->ji * xi + ar[c];
        xi = p->jr * xi + p->ji * xr + ai[c];
        xr = next;
    }
    *(VEC *)re = xr, *(VEC *)im = xi;
}

/* Some runs: y is added to. */
INLINE void FN(runs)(const int abreast, const FN(powers) *p, const REAL *restrict u, REAL *restrict y, REAL *re, REAL *im)
{
    const ptrdiff_t W = FN(LANE);
    REAL X[2 * ABREAST * FN(LANE)];
    FN(enter)(abreast, p, u, re, im, X);
    for (int t = 0; t < RUN; t++) {
        const VEC or = p->or[t], oi = p->oi[t];
        for (int c = 0; c < abreast; c++) {
            VEC *out = (VEC *)(y + (c * RUN + t) * W);
            const VEC part = *out + or * *(const VEC *)(X + 2 * c * W);
            *out = part + oi * *(const VEC *)(X + (2 * c + 1) * W);
        }
    }
}

/* Their adjoint: (gr, gi) is the gradient of the state behind them, and becomes that of the first one. */
INLINE void FN(unrun)(const int abreast, const FN(powers) *p, const REAL *restrict u, const REAL *restrict grad_y,
                      const REAL *restrict X, REAL *restrict grad_u, REAL *gr, REAL *gi, FN(powers) *grad)
{
    const ptrdiff_t W = FN(LANE);
    VEC ar[ABREAST], ai[ABREAST], br[ABREAST], bi[ABREAST], xr[ABREAST], xi[ABREAST];
    for (int c = 0; c < abreast; c++)
        ar[c] = ai[c] = (VEC){0};
    for (int t = 0; t < RUN; t++) {
        const VEC or = p->or[t], oi = p->oi[t];
        for (int c = 0; c < abreast; c++) {
            const VEC out = *(const VEC *)(grad_y + (c * RUN + t) * W);
            ar[c] += or * out, ai[c] += oi * out;
        }
    }
    VEC re = *(VEC *)gr, im = *(VEC *)gi, jr = grad->jr, ji = grad->ji;
    for (int c = abreast - 1; c >= 0; c--) {
        xr[c] = *(const VEC *)(X + 2 * c * W), xi[c] = *(const VEC *)(X + (2 * c + 1) * W);
        br[c] = re, bi[c] = im;
        jr += re * xr[c] + im * xi[c], ji += im * xr[c] - re * xi[c];
        const VEC next = p->jr * re + p->ji * im + ar[c];
        im = p->jr * im - p->ji * re + ai[c];
        re = next;
    }
    *(VEC *)gr = re, *(VEC *)gi = im, grad->jr = jr, grad->ji = ji;
    for (int t = 0; t < RUN; t++) {
        const VEC ir = p->ir[t], ii = p->ii[t];
        VEC inr = grad->ir[t], ini = grad->ii[t], outr = grad->or[t], outi = grad->oi[t];
        for (int c = 0; c < abreast; c++) {
            const ptrdiff_t at = (c * RUN + t) * W;
            const VEC in = *(const VEC *)(u + at), out = *(const VEC *)(grad_y + at);
            const VEC part = *(VEC *)(grad_u + at) + ir * br[c];
            *(VEC *)(grad_u + at) = part + ii * bi[c];
            inr += br[c] * in, ini += bi[c] * in;
            outr += out * xr[c], outi += out * xi[c];
        }
        grad->ir[t] = inr, grad->ii[t] = ini, grad->or[t] = outr, grad->oi[t] = outi;
    }
}
